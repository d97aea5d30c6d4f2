//! `bursar plugin check`

use std::path::PathBuf;
use std::process::ExitCode;

use bursar_host::{LoadError, LoadedPlugin, discord_warnings};
use bursar_ledger::Seed;
use bursar_workbench::simulation;
use clap::Args;

use crate::commands::component::Component;
use crate::commands::progress::progress_in;
use crate::commands::{CommandError, Done, host, seed, style};
use crate::random;

/// Rounds of each game that are played, if nothing else is said.
const ROUNDS: u64 = 1_000_000;

/// Check a component as a server does at upload: the same code, the same verdict.
#[derive(Args, Debug)]
pub(in crate::commands) struct Check {
    /// The component, a `.wasm` file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Play each game whose odds the manifest states, and compare what comes back
    #[arg(long)]
    simulate: bool,
    /// How many rounds of each game are played
    #[arg(
        long,
        value_name = "N",
        default_value_t = ROUNDS,
        requires = "simulate"
    )]
    rounds: u64,
    /// What the draws are made from, 64 hexadecimal digits; at random unless said
    #[arg(long, value_name = "HEX", requires = "simulate", value_parser = seed)]
    seed: Option<Seed>,
}

impl Check {
    pub(super) fn run(self) -> Done {
        let component = Component::read(&self.file)?;
        match component.load(&host()?) {
            Ok(plugin) => {
                let manifest = plugin.manifest();
                style::tick(
                    true,
                    format!("{} {} may run", manifest.id, manifest.version),
                );
                style::note(&manifest.description);
                style::note(format!("component {}", component.digest()));
                for action in &manifest.actions {
                    style::note(format!("action {}: {}", action.name, action.description));
                }
                for warning in discord_warnings(manifest) {
                    let warning = warning.to_string();
                    let mut lines = warning.lines();
                    lines.next().into_iter().for_each(style::warning);
                    lines.for_each(style::note);
                }
                if self.simulate {
                    return self.play(&plugin);
                }
                Ok(ExitCode::SUCCESS)
            }
            Err(LoadError::Refused(report)) => {
                style::tick(false, format!("{} may not run", self.file.display()));
                for line in report.to_string().lines() {
                    style::note(line);
                }
                Ok(ExitCode::FAILURE)
            }
            Err(failed) => Err(CommandError::new(failed)),
        }
    }

    /// Plays each game whose odds are stated. Fails if one returns something else.
    fn play(&self, plugin: &LoadedPlugin) -> Done {
        let seed = self.seed.unwrap_or_else(random::seed);
        let odds = &plugin.manifest().odds;
        if odds.is_empty() {
            style::note("its manifest states no odds: there is nothing to play");
        }
        let mut all_agree = true;
        for odds in odds {
            style::title(format!("{}: {}", odds.action, odds.description));
            let mut told = progress_in("rounds", "played");
            let played = simulation::play(plugin, odds, self.rounds, seed, |round| {
                told(round, self.rounds);
            });
            let played = played.map_err(CommandError::new)?;
            let agrees = played.agrees_with(odds.returns_ppm);
            all_agree &= agrees;
            style::tick(
                agrees,
                format!(
                    "returns {:.4} % of the stake, give or take {:.4} % (99.9 % of runs); stated are {:.4} %",
                    played.returned_ppm / 1e4,
                    played.margin_ppm / 1e4,
                    stated(odds.returns_ppm),
                ),
            );
            style::note(format!(
                "{} rounds; variance {:.3} (standard deviation {:.3} stakes); worst in one round: {} for the member, {} for the house",
                played.rounds,
                played.deviation.powi(2),
                played.deviation,
                played.worst_for_member,
                played.worst_for_house,
            ));
        }
        Ok(if all_agree {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// Millionths as parts of a hundred.
fn stated(ppm: u64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "returns are small numbers")]
    let ppm = ppm as f64;
    ppm / 1e4
}

//! `bursar plugin check`: the checks of an upload, and simulated games.

use std::path::PathBuf;
use std::process::ExitCode;

use bursar_host::{LoadError, LoadedPlugin, discord_warnings};
use bursar_ledger::Seed;
use bursar_workbench::simulation;
use clap::Args;

use crate::commands::component::ComponentSource;
use crate::commands::error::{CommandError, CommandResult};
use crate::commands::progress::progress_in;
use crate::commands::runtime::{host, seed};
use crate::commands::style;
use crate::random;

/// The default number of rounds of each simulated game.
const ROUNDS: u64 = 1_000_000;

/// Check a component as a server does at upload.
#[derive(Args, Debug)]
pub(in crate::commands) struct CheckCommand {
    /// The component, a `.wasm` file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Play each game whose odds the manifest states, and compare its returns with them
    #[arg(long)]
    simulate: bool,
    /// Number of rounds of each game
    #[arg(
        long,
        value_name = "N",
        default_value_t = ROUNDS,
        requires = "simulate"
    )]
    rounds: u64,
    /// Seed of the draws, 64 hexadecimal digits; random by default
    #[arg(long, value_name = "HEX", requires = "simulate", value_parser = seed)]
    seed: Option<Seed>,
}

impl CheckCommand {
    pub(super) fn run(self) -> CommandResult {
        let component = ComponentSource::read(&self.file)?;
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
                    return self.simulate(&plugin);
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
            Err(error) => Err(CommandError::new(error)),
        }
    }

    /// Plays each game whose odds the manifest states. Fails if the returns of one differ from its odds.
    fn simulate(&self, plugin: &LoadedPlugin) -> CommandResult {
        let seed = self.seed.unwrap_or_else(random::seed);
        let odds = &plugin.manifest().odds;
        if odds.is_empty() {
            style::note("the manifest states no odds, so there is no game to play");
        }
        let mut all_agree = true;
        for odds in odds {
            style::title(format!("{}: {}", odds.action, odds.description));
            let mut progress = progress_in("rounds", "played");
            let result = simulation::play(plugin, odds, self.rounds, seed, |round| {
                progress(round, self.rounds);
            });
            let result = result.map_err(CommandError::new)?;
            let agrees = result.agrees_with(odds.returns_ppm);
            all_agree &= agrees;
            style::tick(
                agrees,
                format!(
                    "returns {:.4} % of the stake, ± {:.4} % (99.9 % of runs); stated are {:.4} %",
                    result.returned_ppm / 1e4,
                    result.margin_ppm / 1e4,
                    percent(odds.returns_ppm),
                ),
            );
            style::note(format!(
                "{} rounds; variance {:.3} (standard deviation {:.3} stakes); worst in one round: {} for the member, {} for the operator",
                result.rounds,
                result.deviation.powi(2),
                result.deviation,
                result.worst_for_member,
                result.worst_for_operator,
            ));
        }
        Ok(if all_agree {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// Converts parts per million into per cent.
fn percent(ppm: u64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "returns are small numbers")]
    let ppm = ppm as f64;
    ppm / 1e4
}

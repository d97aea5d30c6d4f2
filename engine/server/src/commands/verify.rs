//! `bursar verify`: the receipt of a call, checked without a server.

use std::path::PathBuf;
use std::process::ExitCode;

use bursar_host::ReplayError;
use bursar_ledger::{Digest, Seed};
use bursar_workbench::rerun::{Difference, replay};
use clap::Args;

use super::component::ComponentSource;
use super::error::{CommandError, CommandResult};
use super::runtime::{host, seed};
use super::{input, style};
use crate::receipt::{self, DrawCheck, EffectsError, Receipt};

/// The largest size of a receipt in bytes. The transcript and the reply of a call are far smaller.
const RECEIPT_BYTES_MAX: u64 = 16 << 20;

/// Verify the receipt of a call, without a server.
///
/// Three checks are made: the draws come from the server seed that was committed to; the postings and changes are
/// those that the plugin requested; the component, run again, gives the same result with the same fuel.
///
/// Exit codes: 0 if every check passes, 1 if a check fails, 2 if a check could not be made because the seed is not
/// public yet or the component is missing.
#[derive(Args, Debug)]
pub(super) struct Verify {
    /// The receipt, the response to `GET …/calls/{call}`; `-` reads standard input
    #[arg(value_name = "RECEIPT")]
    receipt: PathBuf,
    /// The component of the plugin, a `.wasm` file; not needed for bundled plugins
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
    /// The server seed, if the receipt was made before the seed was public
    #[arg(long, value_name = "HEX", value_parser = seed)]
    seed: Option<Seed>,
}

/// The result of a check, with a sentence for people.
enum CheckResult {
    Passed(String),
    Failed(String),
    /// The check could not be made.
    Skipped(String),
}

impl Verify {
    pub(super) fn run(self) -> CommandResult {
        let receipt = self.read()?;
        let call = &receipt.call.request;
        style::title(format!(
            "{} of {}, call {}",
            call.action, call.plugin, call.id
        ));
        let checks = [
            self.check_draws(&receipt),
            check_effects(&receipt),
            self.check_run(&receipt)?,
        ];
        for check in &checks {
            match check {
                CheckResult::Passed(sentence) => style::tick(true, sentence),
                CheckResult::Failed(sentence) => style::tick(false, sentence),
                CheckResult::Skipped(reason) => style::note(format!("not checked: {reason}")),
            }
        }
        let any = |is: fn(&CheckResult) -> bool| checks.iter().any(is);
        Ok(if any(|check| matches!(check, CheckResult::Failed(_))) {
            ExitCode::FAILURE
        } else if any(|check| matches!(check, CheckResult::Skipped(_))) {
            ExitCode::from(2)
        } else {
            ExitCode::SUCCESS
        })
    }

    fn read(&self) -> Result<Receipt, CommandError> {
        let path = self.receipt.display();
        let text = input::read_up_to(&self.receipt, RECEIPT_BYTES_MAX, "a receipt")?;
        bursar_ledger::read_strictly(&text)
            .map_err(|error| CommandError::new(format!("{path} is not a receipt: {error}")))
    }

    fn check_draws(&self, receipt: &Receipt) -> CheckResult {
        match receipt.check_draws(self.seed) {
            DrawCheck::NoDraws => CheckResult::Passed("the call made no draws".into()),
            DrawCheck::Passed(draws) => CheckResult::Passed(format!(
                "{draws} draws come from the committed server seed, the client seed and the nonce"
            )),
            DrawCheck::SeedHidden => CheckResult::Skipped(
                "the draws: the server seed is not public yet. Get the receipt again once it is"
                    .into(),
            ),
            DrawCheck::WrongSeed => {
                CheckResult::Failed("the server seed does not match its commitment".into())
            }
            DrawCheck::WrongDraws => {
                CheckResult::Failed("the draws do not come from the server seed".into())
            }
        }
    }

    fn check_run(&self, receipt: &Receipt) -> Result<CheckResult, CommandError> {
        let call = &receipt.call;
        if !call.has_run() {
            return Ok(if call.transcript.exchanges().is_empty() {
                CheckResult::Passed("the call has no completed run to repeat".into())
            } else {
                CheckResult::Failed(
                    "the call has no completed run, but its transcript has requests".into(),
                )
            });
        }
        let Some(installation) = &receipt.installation else {
            return Ok(CheckResult::Failed(
                "the receipt lacks the installation of the plugin".into(),
            ));
        };
        let Some(component) = self.component(&call.component)? else {
            return Ok(CheckResult::Skipped(format!(
                "the run: the component {} is not bundled. Pass it with --component FILE",
                call.component
            )));
        };
        let plugin = component.load_or_fail(&host()?)?;
        Ok(match replay(&plugin, installation, call) {
            Ok(repetition) if repetition.differences.is_empty() => CheckResult::Passed(format!(
                "the component gives the same result again, with {} units of fuel",
                repetition.fuel
            )),
            Ok(repetition) => CheckResult::Failed(describe(&repetition.differences)),
            Err(error @ (ReplayError::Diverged(_) | ReplayError::Early { .. })) => {
                CheckResult::Failed(format!("the component gives another result: {error}"))
            }
            Err(ReplayError::Failed(failure)) => {
                CheckResult::Skipped(format!("the run: {failure}"))
            }
        })
    }

    /// Returns the component of the call: the file of `--component`, or else the bundled one, if there is
    /// one. Fails if the file has another digest.
    fn component(&self, digest: &Digest) -> Result<Option<ComponentSource>, CommandError> {
        let Some(file) = &self.component else {
            return Ok(ComponentSource::bundled(digest));
        };
        let component = ComponentSource::read(file)?;
        if component.digest() != *digest {
            let path = file.display();
            let sentence = format!("{path} is not the component {digest} of the receipt");
            return Err(CommandError::new(sentence));
        }
        Ok(Some(component))
    }
}

/// Describes the differences between a receipt and a repeated run.
fn describe(differences: &[Difference]) -> String {
    let each = differences.iter().map(|it| {
        let Difference {
            part,
            was,
            would_be,
        } = it;
        format!("{part}: {was} in the receipt, {would_be} in the repeated run")
    });
    let each: Vec<String> = each.collect();
    format!("the component gives another result: {}", each.join("; "))
}

fn check_effects(receipt: &Receipt) -> CheckResult {
    match receipt::check_effects(receipt) {
        Ok(()) => CheckResult::Passed(
            "the postings and changes are those that the plugin requested".into(),
        ),
        Err(error @ EffectsError::HoldMissing(_)) => {
            CheckResult::Skipped(format!("the captured holds: {error}"))
        }
        Err(
            error @ (EffectsError::Outcome(_)
            | EffectsError::Postings
            | EffectsError::Changes
            | EffectsError::Hold(_)),
        ) => CheckResult::Failed(error.to_string()),
    }
}

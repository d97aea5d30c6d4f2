//! `bursar verify`

use std::path::PathBuf;
use std::process::ExitCode;

use bursar_host::ReplayError;
use bursar_ledger::{Digest, Seed};
use bursar_workbench::rerun::{Difference, replay};
use clap::Args;

use super::component::Component;
use super::{CommandError, Done, host, input, seed, style};
use crate::receipt::{Draws, EffectsError, Receipt};

/// Bytes of a receipt: a call's transcript and its answer are far smaller.
const RECEIPT_BYTES_MAX: u64 = 16 << 20;

/// Check the receipt of a call, without a server: its draws are made again from the seed that was
/// committed to, and the very component runs again, to the same end at the same cost.
///
/// Ends with 0 if everything was checked and holds, with 1 if something does not hold, and with 2 if
/// something could not be checked, such as while the seed is not public, or where the component is not.
#[derive(Args, Debug)]
pub(super) struct Verify {
    /// The receipt, as `GET …/calls/{call}` answers it; `-` reads standard input
    #[arg(value_name = "RECEIPT")]
    receipt: PathBuf,
    /// The component that ran, a `.wasm` file; bundled ones are known
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
    /// The server seed, if the receipt is older than its publication
    #[arg(long, value_name = "HEX", value_parser = seed)]
    seed: Option<Seed>,
}

/// What a check came to.
enum Checked {
    Holds(String),
    Fails(String),
    Open(String),
}

impl Verify {
    pub(super) fn run(self) -> Done {
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
        let mut code = ExitCode::SUCCESS;
        for check in &checks {
            match check {
                Checked::Holds(what) => style::tick(true, what),
                Checked::Fails(what) => style::tick(false, what),
                Checked::Open(what) => style::note(format!("not checked: {what}")),
            }
        }
        if checks.iter().any(|check| matches!(check, Checked::Open(_))) {
            code = ExitCode::from(2);
        }
        if checks
            .iter()
            .any(|check| matches!(check, Checked::Fails(_)))
        {
            code = ExitCode::FAILURE;
        }
        Ok(code)
    }

    fn read(&self) -> Result<Receipt, CommandError> {
        let path = self.receipt.display();
        let text = input::read_up_to(&self.receipt, RECEIPT_BYTES_MAX, "a receipt")?;
        bursar_ledger::read_strictly(&text)
            .map_err(|error| CommandError::new(format!("{path} is no receipt: {error}")))
    }

    fn check_draws(&self, receipt: &Receipt) -> Checked {
        match receipt.check_draws(self.seed) {
            Draws::None => Checked::Holds("nothing was drawn".into()),
            Draws::Made(draws) => Checked::Holds(format!(
                "{draws} draws come from the seed that was committed to, nonce and client seed"
            )),
            Draws::Hidden => Checked::Open(
                "the draws: the seed is not public yet. Ask for the receipt again when it is"
                    .into(),
            ),
            Draws::NotCommitted => {
                Checked::Fails("the seed is not the one that was committed to".into())
            }
            Draws::NotFromThere => Checked::Fails("something else was drawn".into()),
        }
    }

    fn check_run(&self, receipt: &Receipt) -> Result<Checked, CommandError> {
        let call = &receipt.call;
        if !call.has_run() {
            return Ok(if call.transcript.exchanges().is_empty() {
                Checked::Holds("there is no run that came to an end".into())
            } else {
                Checked::Fails("no run came to an end, and yet something was asked".into())
            });
        }
        let Some(installation) = &receipt.installation else {
            return Ok(Checked::Fails(
                "it does not say how the plugin was installed that ran".into(),
            ));
        };
        let Some(component) = self.component(&call.component)? else {
            return Ok(Checked::Open(format!(
                "the run: the component {} is not here. Say --component FILE",
                call.component
            )));
        };
        let plugin = component.ready(&host()?)?;
        Ok(match replay(&plugin, installation, call) {
            Ok(repetition) if repetition.differences.is_empty() => Checked::Holds(format!(
                "the component runs to the same end, on {} units of fuel",
                repetition.fuel
            )),
            Ok(repetition) => Checked::Fails(otherwise(&repetition.differences)),
            Err(strays @ (ReplayError::Diverged(_) | ReplayError::Early { .. })) => {
                Checked::Fails(format!("the component does not run so: {strays}"))
            }
            Err(ReplayError::Failed(failure)) => Checked::Open(format!("the run: {failure}")),
        })
    }

    /// The component that ran, if it is here.
    fn component(&self, digest: &Digest) -> Result<Option<Component>, CommandError> {
        let Some(file) = &self.component else {
            return Ok(Component::bundled(digest));
        };
        let component = Component::read(file)?;
        if component.digest() != *digest {
            let path = file.display();
            let sentence = format!("{path} is another component than {digest}, which ran");
            return Err(CommandError::new(sentence));
        }
        Ok(Some(component))
    }
}

fn otherwise(differences: &[Difference]) -> String {
    let each = differences.iter().map(|it| {
        let Difference {
            part: what,
            was,
            would_be,
        } = it;
        format!("{what}: {was} in the receipt, and {would_be} when it runs")
    });
    let each: Vec<String> = each.collect();
    format!("the component does not run so: {}", each.join("; "))
}

fn check_effects(receipt: &Receipt) -> Checked {
    match receipt.check_effects() {
        Ok(()) => Checked::Holds("what moved and changed is what the plugin asked for".into()),
        Err(why @ EffectsError::HoldNotTold(_)) => {
            Checked::Open(format!("what was captured: {why}"))
        }
        Err(
            why @ (EffectsError::Outcome(_)
            | EffectsError::Postings
            | EffectsError::Changes
            | EffectsError::Hold(_)),
        ) => Checked::Fails(why.to_string()),
    }
}

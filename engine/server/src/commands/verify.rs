//! `bursar verify`

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use bursar_host::LoadedPlugin;
use bursar_ledger::{Digest, Seed};
use clap::Args;
use std::sync::Arc;

use super::{CommandError, Done, host, style};
use crate::bundled;
use crate::receipt::{Draws, EffectsError, Receipt};

/// Check the receipt of a call, without a server: its draws are made again from the seed that was
/// committed to, and the very component runs again, to the same end at the same cost.
///
/// Ends with 0 if everything was checked and holds, with 1 if something does not hold, and with 2 if
/// something could not be checked: the seed is not public yet, or the component is not here.
#[derive(Args, Debug)]
pub(super) struct Verify {
    /// The receipt, as `GET …/calls/{call}` answers it; `-` reads standard input
    #[arg(value_name = "RECEIPT")]
    receipt: PathBuf,
    /// The component that ran, a `.wasm` file; bundled ones are known
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
    /// The server seed, if the receipt is older than its publication
    #[arg(long, value_name = "HEX")]
    seed: Option<String>,
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
            self.check_draws(&receipt)?,
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
        let text = if self.receipt.as_os_str() == "-" {
            let mut text = String::new();
            let read = std::io::stdin().read_to_string(&mut text);
            read.map(|_| text)
        } else {
            std::fs::read_to_string(&self.receipt)
        };
        let text = text.map_err(|error| CommandError::new(format!("{path}: {error}")))?;
        serde_json::from_str(&text)
            .map_err(|error| CommandError::new(format!("{path} is no receipt: {error}")))
    }

    fn check_draws(&self, receipt: &Receipt) -> Result<Checked, CommandError> {
        let told = self.seed.clone().map(Seed::try_from).transpose();
        let told = told.map_err(|_| CommandError::new("--seed takes 64 hexadecimal digits"))?;
        Ok(match receipt.check_draws(told) {
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
        })
    }

    fn check_run(&self, receipt: &Receipt) -> Result<Checked, CommandError> {
        if receipt.installation.is_none() {
            return Ok(Checked::Holds("the plugin did not run".into()));
        }
        let digest = receipt.call.component;
        let Some(bytes) = self.component(&digest)? else {
            return Ok(Checked::Open(format!(
                "the run: the component {digest} is not here. Say --component FILE"
            )));
        };
        let plugin = load(digest, &bytes)?;
        Ok(match receipt.check_run(&plugin) {
            Ok(()) => Checked::Holds(format!(
                "the component runs to the same end, on {} units of fuel",
                receipt.call.fuel
            )),
            Err(why) => Checked::Fails(format!("the component does not run so: {why}")),
        })
    }

    /// The bytes of the component, if they are here.
    fn component(&self, digest: &Digest) -> Result<Option<Vec<u8>>, CommandError> {
        let Some(file) = &self.component else {
            let bundled = bundled::PLUGINS.iter();
            let mut bundled = bundled.filter(|bundled| Digest::of(bundled.bytes) == *digest);
            return Ok(bundled.next().map(|bundled| bundled.bytes.to_vec()));
        };
        let path = file.display();
        let bytes = std::fs::read(file);
        let bytes = bytes.map_err(|error| CommandError::new(format!("{path}: {error}")))?;
        if Digest::of(&bytes) != *digest {
            let sentence = format!("{path} is another component than {digest}, which ran");
            return Err(CommandError::new(sentence));
        }
        Ok(Some(bytes))
    }
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

fn load(digest: Digest, bytes: &[u8]) -> Result<Arc<LoadedPlugin>, CommandError> {
    host()?.load(digest, bytes).map_err(CommandError::new)
}

//! `bursar bench`: the rate, the latency and the cost of a server, compared with those of an echo on the same
//! listener.

mod alarm;
mod driver;
mod durability;
mod http_answer;
mod load_counts;
mod measure;
mod meter;
mod options;
mod own_server;
mod pictures;
mod requests;
mod results;
mod sampler;
mod send_times;
mod server_api;
mod set_up;
mod status;
mod table;
mod template;
mod wire;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Handle;

use super::error::{CommandError, CommandResult};
use super::runtime::block_on;
use super::style;
use crate::random;
use measure::Measurement;
pub(super) use options::BenchOptions;
use results::BenchResults;

impl BenchOptions {
    pub(super) fn run(self) -> CommandResult {
        self.check()?;
        block_on(self.measure())?
    }

    async fn measure(self) -> CommandResult {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        // The load checks this flag and ends by itself, so that the server and its folder are removed in every case.
        tokio::spawn(async move {
            drop(tokio::signal::ctrl_c().await);
            stopped.store(true, Ordering::Relaxed);
        });
        let options = self.clone();
        let handle = Handle::current();
        let random = random::bytes();
        let run = move || Measurement::begin(options, handle, random, stop)?.run();
        let results = tokio::task::spawn_blocking(run).await;
        let results = results.map_err(CommandError::new)??;
        self.show(&results)?;
        Ok(if results.check.ok {
            ExitCode::SUCCESS
        } else {
            style::error(
                "the server's records are not those of its answers; keep its file and report this",
            );
            ExitCode::FAILURE
        })
    }

    fn show(&self, results: &BenchResults) -> Result<(), CommandError> {
        if let Some(folder) = &self.svg {
            write_pictures(folder, results)?;
        }
        if self.json {
            let document = serde_json::to_value(results).map_err(CommandError::new)?;
            style::value(&document);
            return Ok(());
        }
        let report = table::report(results);
        for line in report.lines {
            style::say(line);
        }
        for warning in report.warnings {
            style::warning(warning);
        }
        Ok(())
    }
}

fn write_pictures(folder: &Path, results: &BenchResults) -> Result<(), CommandError> {
    std::fs::create_dir_all(folder).map_err(|error| {
        CommandError::new(format!(
            "cannot make the folder {}: {error}",
            folder.display()
        ))
    })?;
    for (name, picture) in pictures::pictures(results) {
        let path = folder.join(name);
        std::fs::write(&path, picture).map_err(|error| {
            CommandError::new(format!("cannot write {}: {error}", path.display()))
        })?;
    }
    Ok(())
}

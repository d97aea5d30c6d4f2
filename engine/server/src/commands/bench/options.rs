//! The options of `bursar bench` and their bounds.

use std::path::PathBuf;
use std::time::Duration;

use bursar_ledger::BATCH_TRANSFERS_MAX;
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::super::error::CommandError;
use super::sampler::{Distribution, Sampler};
use super::template::KeyOrder;

/// The most connections.
pub(super) const LOAD_CONNECTIONS_MAX: u64 = 4_096;

/// The connections by default.
const DEFAULT_CONNECTIONS: u64 = 64;

/// The highest rate, in requests a second.
pub(super) const RATE_MAX: u64 = 1_000_000;

/// The most points of one run: pairs of a number of connections and a rate.
pub(super) const POINTS_MAX: usize = 16;

/// The most members. Each has a starting balance, and the sum has to be an amount.
pub(super) const MEMBERS_MAX: u64 = 10_000_000;

/// The most economies.
pub(super) const ECONOMIES_MAX: u64 = 1_000;

/// The most transfers that are stored before the measurement.
pub(super) const FILL_MAX: u64 = 1_000_000_000;

/// The longest measurement of a point, in seconds.
pub(super) const SECONDS_MAX: u64 = 3_600;

/// The requests of a load.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Work {
    /// One transfer a request
    Transfers,
    /// Independent batches of transfers
    Batches,
    /// Purchases in the bundled shop
    Calls,
    /// 70 % reads of an account, 30 % transfers
    Mixed,
}

/// Measure a server: its rate, its latency and its cost, next to those of an echo on the same listener.
///
/// Without an address it starts a server of its own on a temporary database, and removes both afterwards.
///
/// Exit codes: 0 if every point was measured and the server's records are those of the answers, 1 otherwise.
#[derive(Args, Clone, Debug)]
pub(in crate::commands) struct BenchOptions {
    /// Address of a server to measure instead, such as 127.0.0.1:7777; it gets economies of its own
    #[arg(long, value_name = "URL", conflicts_with = "socket", requires = "key", value_parser = host_and_port)]
    pub(super) url: Option<String>,
    /// Unix socket of a server to measure instead
    #[arg(long, value_name = "PATH", requires = "key")]
    pub(super) socket: Option<PathBuf>,
    /// API key with the scope admin, for --url and --socket; the environment keeps it out of the list of processes
    #[arg(long, env = "BURSAR_KEY", hide_env_values = true)]
    pub(super) key: Option<String>,
    /// Measure a server of another version
    #[arg(long)]
    pub(super) any_version: bool,
    /// Process of the server, if it runs on this machine: its processor time and its writes are measured, too
    #[arg(long, value_name = "PID", requires = "key")]
    pub(super) process: Option<u32>,
    /// Connect to the started server over a Unix socket
    #[arg(long, conflicts_with_all = ["url", "socket"])]
    pub(super) unix: bool,
    /// Folder for the temporary database; its disk is measured too
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["url", "socket"])]
    pub(super) folder: Option<PathBuf>,
    /// Requests to send
    #[arg(long, value_enum, default_value_t = Work::Transfers)]
    pub(super) work: Work,
    /// Connections, 64 or for batches 1 by default; several numbers, separated by commas, are measured one after the
    /// other
    #[arg(long, value_name = "N,…", value_delimiter = ',',
          value_parser = clap::value_parser!(u64).range(1..=LOAD_CONNECTIONS_MAX))]
    pub(super) connections: Vec<u64>,
    /// Requests a second, sent at fixed times whatever the server does; without it each connection sends its next
    /// request after the answer
    #[arg(long, value_name = "N,…", value_delimiter = ',',
          value_parser = clap::value_parser!(u64).range(1..=RATE_MAX))]
    pub(super) rate: Vec<u64>,
    /// Members, over all economies
    #[arg(long, value_name = "N", default_value_t = 50_000,
          value_parser = clap::value_parser!(u64).range(2..=MEMBERS_MAX))]
    pub(super) accounts: u64,
    /// Economies
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u64).range(1..=ECONOMIES_MAX))]
    pub(super) economies: u64,
    /// Members that pay: all alike, a few most of the time (Zipf, 1.2), or everyone to one
    #[arg(long, value_enum, default_value_t = Distribution::Uniform)]
    pub(super) distribution: Distribution,
    /// Idempotency keys in random or in ascending order
    #[arg(long, value_enum, default_value_t = KeyOrder::Random)]
    pub(super) keys: KeyOrder,
    /// Transfers in a batch
    #[arg(long, value_name = "N", default_value_t = 8_192,
          value_parser = clap::value_parser!(u64).range(1..=BATCH_TRANSFERS_MAX as u64))]
    pub(super) batch: u64,
    /// Transfers to store before the measurement
    #[arg(long, value_name = "N", default_value_t = 0,
          value_parser = clap::value_parser!(u64).range(0..=FILL_MAX))]
    pub(super) fill: u64,
    /// Seconds of each measurement
    #[arg(long, value_name = "SECONDS", default_value_t = 10,
          value_parser = clap::value_parser!(u64).range(1..=SECONDS_MAX))]
    pub(super) seconds: u64,
    /// Seconds of load before each measurement
    #[arg(long, value_name = "SECONDS", default_value_t = 2,
          value_parser = clap::value_parser!(u64).range(0..=SECONDS_MAX))]
    pub(super) warm_up: u64,
    /// Seed of the members and amounts of requests
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) seed: u64,
    /// Print one JSON document instead of a table
    #[arg(long)]
    pub(super) json: bool,
    /// Folder to write pictures into, as SVG
    #[arg(long, value_name = "FOLDER")]
    pub(super) svg: Option<PathBuf>,
}

impl BenchOptions {
    /// Returns the points to measure: each number of connections with each rate.
    pub(super) fn points(&self) -> Vec<(usize, Option<u64>)> {
        let rates: Vec<Option<u64>> = if self.rate.is_empty() {
            vec![None]
        } else {
            self.rate.iter().copied().map(Some).collect()
        };
        // The queue of the writer takes one large batch of an economy at a time, so more connections would mostly be
        // rejected.
        let default = match self.work {
            Work::Batches => 1,
            Work::Transfers | Work::Calls | Work::Mixed => DEFAULT_CONNECTIONS,
        };
        let connections = if self.connections.is_empty() {
            vec![default]
        } else {
            self.connections.clone()
        };
        connections
            .into_iter()
            .map(|it| usize::try_from(it).unwrap_or(usize::MAX))
            .flat_map(|connections| rates.iter().map(move |rate| (connections, *rate)))
            .collect()
    }

    /// Returns the number of members of each economy.
    pub(super) fn members(&self) -> u64 {
        self.accounts.checked_div(self.economies).unwrap_or(0)
    }

    /// Creates the sampler of payments, which begins with the seed each time.
    pub(super) fn sampler(&self) -> Sampler {
        Sampler::new(self.seed, self.economies, self.members(), self.distribution)
    }

    /// Returns the time of each measurement.
    pub(super) fn measured(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// Checks how the options fit together.
    pub(super) fn check(&self) -> Result<(), CommandError> {
        if self.members() < 2 {
            return Err(CommandError::new(format!(
                "{} accounts in {} economies are less than 2 in each; raise --accounts or lower --economies",
                self.accounts, self.economies
            )));
        }
        let points = self.points().len();
        if points > POINTS_MAX {
            return Err(CommandError::new(format!(
                "--connections and --rate make {points} points, and one run measures at most {POINTS_MAX}"
            )));
        }
        Ok(())
    }
}

/// Parses `http://HOST:PORT` and returns the host and the port.
fn host_and_port(text: &str) -> Result<String, String> {
    let malformed = || format!("`{text}` is no address; write it as http://127.0.0.1:7777");
    if text.starts_with("https://") {
        return Err(
            "servers speak plain HTTP; measure behind the proxy, as in http://127.0.0.1:7777"
                .into(),
        );
    }
    let rest = text.strip_prefix("http://").unwrap_or(text);
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = rest.rsplit_once(':').ok_or_else(malformed)?;
    let is_port = port.parse::<u16>().is_ok_and(|port| port > 0);
    let is_host = !host.is_empty() && !host.contains(['/', '@', '?', '#', ' ']);
    if is_port && is_host {
        return Ok(rest.into());
    }
    Err(malformed())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        options: BenchOptions,
    }

    fn parsed(line: &str) -> Result<BenchOptions, String> {
        let arguments = std::iter::once("bench").chain(line.split_whitespace());
        let read = CommandLine::try_parse_from(arguments);
        read.map(|line| line.options)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn numbers_end_at_their_limits() {
        for (option, least, most) in [
            ("--connections", 1, LOAD_CONNECTIONS_MAX),
            ("--rate", 1, RATE_MAX),
            ("--accounts", 2, MEMBERS_MAX),
            ("--economies", 1, ECONOMIES_MAX),
            ("--batch", 1, BATCH_TRANSFERS_MAX as u64),
            ("--fill", 0, FILL_MAX),
            ("--seconds", 1, SECONDS_MAX),
            ("--warm-up", 0, SECONDS_MAX),
        ] {
            for within in [least, most] {
                assert!(
                    parsed(&format!("{option} {within}")).is_ok(),
                    "{option} {within}"
                );
            }
            let error = parsed(&format!("{option} {}", most + 1)).unwrap_err();
            assert!(error.contains(option), "{error}");
            if least > 0 {
                assert!(
                    parsed(&format!("{option} {}", least - 1)).is_err(),
                    "{option}"
                );
            }
        }
    }

    #[test]
    fn a_run_has_at_most_16_points() {
        let rates = ["1"; POINTS_MAX / 2].join(",");
        let options = parsed(&format!("--connections 1,2 --rate {rates}")).unwrap();
        assert_eq!(options.points().len(), POINTS_MAX);
        assert!(options.check().is_ok());
        let more = parsed(&format!("--connections 1,2 --rate {rates},2")).unwrap();
        let error = more.check().unwrap_err().to_string();
        assert!(error.contains("18 points"), "{error}");
    }

    #[test]
    fn each_economy_has_two_members() {
        assert!(
            parsed("--accounts 6 --economies 3")
                .unwrap()
                .check()
                .is_ok()
        );
        assert!(
            parsed("--accounts 5 --economies 3")
                .unwrap()
                .check()
                .is_err()
        );
    }

    #[test]
    fn points_are_each_number_of_connections_with_each_rate() {
        let options = parsed("--connections 1,8").unwrap();
        assert_eq!(options.points(), [(1, None), (8, None)]);
        assert_eq!(parsed("").unwrap().points(), [(64, None)]);
        let batches = parsed("--work batches").unwrap();
        assert_eq!(batches.points(), [(1, None)]);
        let options = parsed("--connections 8 --rate 10,20").unwrap();
        assert_eq!(options.points(), [(8, Some(10)), (8, Some(20))]);
    }

    #[test]
    fn addresses_are_hosts_with_ports() {
        for (text, expected) in [
            ("http://127.0.0.1:7777", "127.0.0.1:7777"),
            ("http://[::1]:7777/", "[::1]:7777"),
            ("localhost:80", "localhost:80"),
        ] {
            assert_eq!(host_and_port(text), Ok(expected.into()));
        }
        for text in [
            "",
            "http://",
            "127.0.0.1",
            "a:0",
            "a:x",
            "a:70000",
            "http://a/b:1",
            "https://a:1",
        ] {
            assert!(host_and_port(text).is_err(), "{text}");
        }
    }
}

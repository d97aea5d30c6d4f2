//! A run: the server, the set-up, each point between two halves of an echo, and the check of the records.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::runtime::Handle;

use super::driver::{Driver, Pace, Until};
use super::durability::{Durability, bytes_below};
use super::load_counts::LoadCounts;
use super::meter::{ProcessUsage, UsedBetween, own_thread_time};
use super::options::BenchOptions;
use super::own_server::OwnServer;
use super::requests::{RequestSource, WorkSource};
use super::results::{
    BenchMachine, BenchResults, DOCUMENT_VERSION, FillResult, KeptBytes, LoadResult, LoadTerms,
    MeasuredServer, PointResult, RecordCheck,
};
use super::server_api::{ServerApi, shown};
use super::set_up::{RunIdentity, SetUp};
use super::status::Status;
use super::template::KeyOrder;
use crate::client::Address;
use crate::commands::error::CommandError;

/// The time without load before a measurement, in which a server ends what it has begun.
const PAUSE: Duration = Duration::from_millis(200);

/// A run of `bursar bench`.
pub(super) struct Measurement {
    options: BenchOptions,
    handle: Handle,
    stop: Arc<AtomicBool>,
    status: Status,
    identity: RunIdentity,
    own: Option<OwnServer>,
    address: Address,
    bearer: String,
    has_echo: bool,
    /// Counts of all loads after the set-up, warm-ups included.
    sent: LoadCounts,
}

impl Measurement {
    /// Starts or finds the server. `random` names the run; the load ends early once `stop` is true.
    pub(super) fn begin(
        options: BenchOptions,
        handle: Handle,
        random: [u8; 32],
        stop: Arc<AtomicBool>,
    ) -> Result<Self, CommandError> {
        let given = match (&options.url, &options.socket) {
            (Some(url), _) => Some(Address::Tcp(url.clone())),
            (None, Some(path)) => Some(Address::Unix(path.clone())),
            (None, None) => None,
        };
        let own = match given {
            Some(_) => None,
            None => Some(OwnServer::start(options.folder.as_deref(), options.unix)?),
        };
        let key = options.key.clone().unwrap_or_default();
        let bearer = own.as_ref().map_or(key, |own| own.key.clone());
        let address = given.or_else(|| own.as_ref().map(|own| own.address.clone()));
        let address = address.ok_or_else(|| CommandError::new("there is no server to measure"))?;
        Ok(Self {
            options,
            handle,
            stop,
            status: Status::new(),
            identity: RunIdentity::new(random),
            own,
            address,
            bearer,
            has_echo: false,
            sent: LoadCounts::new(),
        })
    }

    /// Sets up, measures each point, and checks the records.
    pub(super) fn run(mut self) -> Result<BenchResults, CommandError> {
        let mut api = self.api();
        let version = api.check(self.options.any_version)?;
        let mut set_up = SetUp {
            options: &self.options,
            address: &self.address,
            bearer: &self.bearer,
            api: &mut api,
            identity: &mut self.identity,
            status: &self.status,
            stop: &self.stop,
        };
        set_up.make()?;
        let fill = set_up.fill()?.map(|counts| FillResult::of(&counts));
        let bytes_before = self.restart()?;
        let mut api = self.api();
        self.has_echo = api.has_echo()?;
        let before = self.records(&mut api)?;
        let mut points = Vec::new();
        for (connections, rate) in self.options.points() {
            points.push(self.point(connections, rate)?);
        }
        let recorded = self.records(&mut api)?.saturating_sub(before);
        let server = self.server(version)?;
        let kept = self.kept(bytes_before)?;
        Ok(BenchResults {
            bursar_bench: DOCUMENT_VERSION,
            version: env!("CARGO_PKG_VERSION"),
            debug_build: cfg!(debug_assertions),
            machine: BenchMachine {
                cores: std::thread::available_parallelism().map_or(1, usize::from),
                system: std::env::consts::OS,
                architecture: std::env::consts::ARCH,
            },
            server,
            load: self.terms(),
            fill,
            points,
            kept,
            check: RecordCheck::of(self.sent.records, self.sent.refusals(), recorded),
        })
    }

    fn api(&self) -> ServerApi {
        ServerApi::new(self.handle.clone(), &self.address, &self.bearer)
    }

    fn records(&self, api: &mut ServerApi) -> Result<u64, CommandError> {
        SetUp::records(api, self.identity.run, self.options.economies)
    }

    /// Restarts the server if this run has started it, so that the load begins with complete files. Returns their size.
    fn restart(&mut self) -> Result<Option<u64>, CommandError> {
        let Some(own) = &mut self.own else {
            return Ok(None);
        };
        self.status.show("starting the server again", 0, 0);
        own.stop()?;
        let bytes = bytes_below(own.folder()).map_err(CommandError::new)?;
        own.restart()?;
        self.address = own.address.clone();
        self.status.clear();
        Ok(Some(bytes))
    }

    /// Measures a point: half of the echo, the warm-up, the work, and the other half of the echo. If the load of the
    /// machine changes meanwhile, the change affects work and echo alike.
    fn point(
        &mut self,
        connections: usize,
        rate: Option<u64>,
    ) -> Result<PointResult, CommandError> {
        let address = self.address.clone();
        let driver = Driver::connect(&address, connections, Arc::clone(&self.stop));
        let mut driver = driver.map_err(CommandError::new)?;
        let half = self.options.measured().checked_div(2).unwrap_or_default();
        let mut echo = self.echo();
        let mut work = self.work();
        let pace = rate.map_or(Pace::Closed, Pace::Open);
        let name = rate.map_or(format!("{connections} connections"), |rate| {
            format!("{connections} connections, {rate}/s")
        });
        let mut echoed = self.echo_load(&mut driver, &mut *echo, pace, half, &name)?;
        let warm_up = Duration::from_secs(self.options.warm_up);
        let what = format!("warm-up, {name}");
        let warm = self.load(&mut driver, &mut *work, pace, warm_up, &what)?;
        self.sent.add(warm.counts);
        let worked = self.load(
            &mut driver,
            &mut *work,
            pace,
            self.options.measured(),
            &name,
        )?;
        echoed.add(self.echo_load(&mut driver, &mut *echo, pace, half, &name)?);
        let result = worked.result();
        self.sent.add(worked.counts);
        let echo = self.has_echo.then(|| echoed.result());
        Ok(PointResult {
            connections,
            rate_wanted: rate,
            of_echo: echo.as_ref().map(|echo| result.of_echo(echo)),
            work: result,
            echo,
        })
    }

    fn work(&mut self) -> Box<dyn RequestSource> {
        let keys = self.identity.keys(self.options.keys);
        Box::new(WorkSource::new(
            self.options.work,
            self.identity.target(&self.bearer),
            self.options.batch,
            self.options.sampler(),
            keys,
        ))
    }

    fn echo(&mut self) -> Box<dyn RequestSource> {
        let keys = self.identity.keys(KeyOrder::Random);
        let target = self.identity.target(&self.bearer);
        Box::new(WorkSource::echo(target, self.options.sampler(), keys))
    }

    /// Sends the load of the echo that belongs to the work `name`. Sends nothing if the server has no echo.
    fn echo_load(
        &self,
        driver: &mut Driver,
        echo: &mut dyn RequestSource,
        pace: Pace,
        time: Duration,
        name: &str,
    ) -> Result<MeteredLoad, CommandError> {
        if !self.has_echo {
            return Ok(MeteredLoad::default());
        }
        self.load(driver, echo, pace, time, &format!("echo, {name}"))
    }

    /// Sends a load and meters the server meanwhile.
    fn load(
        &self,
        driver: &mut Driver,
        source: &mut dyn RequestSource,
        pace: Pace,
        time: Duration,
        what: &str,
    ) -> Result<MeteredLoad, CommandError> {
        if time.is_zero() {
            return Ok(MeteredLoad::default());
        }
        std::thread::sleep(PAUSE);
        let process = self.own.as_ref().and_then(OwnServer::process);
        let process = process.or(self.options.process);
        let usage = || process.and_then(ProcessUsage::of);
        let whole = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let mut watch = |elapsed: Duration, _| {
            let elapsed = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
            self.status.show(what, elapsed, whole);
        };
        let used_before = usage();
        let own_before = own_thread_time();
        let counts = driver.drive(source, pace, Until::Time(time), &mut watch);
        let own_after = own_thread_time();
        let used_after = usage();
        self.status.clear();
        let counts = counts.map_err(CommandError::new)?;
        if counts.operations == 0 && counts.refusals() > 0 {
            let detail = counts.first_refusal.unwrap_or_default();
            return Err(
                CommandError::new(format!("{what}: no request succeeded")).with_details(detail)
            );
        }
        Ok(MeteredLoad {
            counts,
            used: used_after
                .zip(used_before)
                .map(|(after, before)| after.since(&before)),
            driver: own_after
                .zip(own_before)
                .map(|(after, before)| after.saturating_sub(before)),
        })
    }

    fn server(&self, version: String) -> Result<MeasuredServer, CommandError> {
        let durability = match &self.own {
            Some(own) => Some(Durability::of(own.folder()).map_err(CommandError::new)?),
            None => None,
        };
        Ok(MeasuredServer {
            own: self.own.is_some(),
            address: shown(&self.address),
            version,
            durability,
        })
    }

    fn terms(&self) -> LoadTerms {
        let options = &self.options;
        LoadTerms {
            work: options.work,
            accounts: options.accounts,
            economies: options.economies,
            distribution: options.distribution,
            keys: options.keys,
            batch: options.batch,
            seconds: options.seconds,
            warm_up: options.warm_up,
            seed: options.seed,
        }
    }

    /// Stops the server if this run has started it, and returns the growth of its files.
    fn kept(&mut self, before: Option<u64>) -> Result<Option<KeptBytes>, CommandError> {
        let (Some(own), Some(before)) = (&mut self.own, before) else {
            return Ok(None);
        };
        own.stop()?;
        let after = bytes_below(own.folder()).map_err(CommandError::new)?;
        Ok(Some(KeptBytes::of(before, after, self.sent.operations)))
    }
}

/// The counts of a load, and its use of the machine.
struct MeteredLoad {
    counts: LoadCounts,
    used: Option<UsedBetween>,
    driver: Option<Duration>,
}

impl Default for MeteredLoad {
    fn default() -> Self {
        Self {
            counts: LoadCounts::new(),
            used: None,
            driver: None,
        }
    }
}

impl MeteredLoad {
    fn add(&mut self, other: Self) {
        self.counts.add(other.counts);
        if let (Some(used), Some(more)) = (&mut self.used, &other.used) {
            used.add(more);
        }
        self.driver = self
            .driver
            .zip(other.driver)
            .map(|(one, other)| one.saturating_add(other));
    }

    fn result(&self) -> LoadResult {
        LoadResult::of(&self.counts, self.used.as_ref(), self.driver)
    }
}

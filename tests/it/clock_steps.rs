//! Random histories of a machine's clock: steps in both directions, suspends, restarts, kills and reboots
//! between requests.

use std::path::{Path, PathBuf};

use bursar_ledger::{
    AccountPatch, Act, Amount, AssetKind, AssetPatch, Authority, HoldId, HoldRequest, IssueRequest,
    OnExpiry, Posting, Seed, Timestamp, TransferId,
};
use bursar_server::http::render;
use bursar_storage::{
    CLOCK_FOLLOWED_MAX, CLOCK_SLEW_PPM, FileLock, ImportContext, Reply, Request, Storage,
    StorageError, Submission, export_file, import_file, set_clock_of_file,
};
use proptest::prelude::*;
use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

use crate::long_runs::property;
use crate::machine::Machine;
use crate::support::assert_audit_passes;

/// A time in 2023, in milliseconds since 1970.
const NOW_MS: u64 = 1_700_000_000_000;

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;
const YEAR_MS: i64 = 365 * 24 * 3_600_000;

/// The number of random histories of every run.
const CASES: u32 = 48;

/// One event of a history.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// Time passes, whether the machine is suspended or not.
    Pass(u64),
    /// The wall clock is moved.
    Set(i64),
    /// A hold is placed for this many seconds.
    Hold(u64),
    /// The server stops in an orderly way or is killed, and starts after a while.
    Restart { killed: bool, down_ms: u64 },
    /// The machine is rebooted.
    Boot { killed: bool, down_ms: u64 },
    /// The operator stops the server, sets the file's clock to the machine's, and starts the server again.
    SetFile,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let while_ms = || prop_oneof![1..2_000_u64, 1..10 * MINUTE_MS, 1..DAY_MS, 1..20 * DAY_MS];
    let step_ms = prop_oneof![
        -1_000..1_000_i64,
        -100_000..100_000_i64,
        -40 * 86_400_000..40 * 86_400_000_i64,
        -YEAR_MS..YEAR_MS,
    ];
    let event = prop_oneof![
        3 => while_ms().prop_map(Event::Pass),
        3 => step_ms.prop_map(Event::Set),
        4 => prop_oneof![1..5_u64, 1..3_600_u64, 1..1_000_000_u64].prop_map(Event::Hold),
        1 => (any::<bool>(), while_ms())
            .prop_map(|(killed, down_ms)| Event::Restart { killed, down_ms }),
        1 => (any::<bool>(), while_ms())
            .prop_map(|(killed, down_ms)| Event::Boot { killed, down_ms }),
        1 => Just(Event::SetFile),
    ];
    prop::collection::vec(event, 1..40)
}

/// A hold and the time since it was placed.
struct Placed {
    id: HoldId,
    lasts_ms: u64,
    passed_ms: u64,
    /// The possible error of `passed_ms`: elapsed time is as exact as the clock's rate, and after a reboot a
    /// wall clock is trusted up to a bound.
    unsure_ms: u64,
}

/// A served file and the machine of its server.
struct World {
    machine: Machine,
    folder: TempDir,
    file: PathBuf,
    files: u32,
    storage: Option<Storage>,
    placed: Vec<Placed>,
    /// The newest record time and the number of recorded steps back.
    newest: (Timestamp, usize),
    acts: u32,
}

fn name<T: std::str::FromStr>(text: &str) -> T {
    text.parse().ok().unwrap()
}

fn submission(act: Act) -> Submission {
    Submission {
        economy: name("guild"),
        actor: "test".into(),
        key: None,
        request: Request::new("POST", "/test", &Value::Null),
        act,
        component: None,
    }
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut world = Self {
            machine: Machine::at(NOW_MS),
            file: folder.path().join("guild.0.db"),
            folder,
            files: 0,
            storage: None,
            placed: Vec::new(),
            newest: (Timestamp(0), 0),
            acts: 0,
        };
        world.open().unwrap();
        let seed = Seed::new([1; 32]);
        world.act(Act::OpenEconomy { seed });
        let patch = AssetPatch {
            kind: Some(AssetKind::Currency),
            name: Some("Coin".into()),
            ..AssetPatch::default()
        };
        world.act(Act::SetAsset {
            asset: name("coin"),
            patch,
        });
        for account in ["user:1", "user:2"] {
            let account = name(account);
            let patch = AccountPatch::default();
            world.act(Act::SetAccount {
                account,
                patch,
                admission: None,
            });
        }
        world.issue();
        world
    }

    fn open(&mut self) -> Result<(), StorageError> {
        let lock = FileLock::acquire(&self.file).unwrap();
        let storage = Storage::open(&self.file, lock, &self.machine.source(), render)?;
        self.storage = Some(storage);
        Ok(())
    }

    /// Submits an act, before which due holds expire.
    fn act(&mut self, act: Act) {
        let storage = self.storage.as_ref().unwrap();
        let sent = storage.submit(submission(act)).unwrap();
        let reply = sent.blocking_recv().unwrap().unwrap();
        assert!(matches!(reply, Reply::Answered(response) if response.status < 300));
        self.acts += 1;
    }

    fn issue(&mut self) {
        self.act(Act::Issue(IssueRequest {
            id: TransferId(Uuid::now_v7()),
            account: name("user:1"),
            asset: name("coin"),
            amount: Amount::new(10).unwrap(),
            cap: None,
        }));
    }

    fn hold(&mut self, seconds: u64) {
        let posting = Posting {
            source: name("user:1"),
            destination: name("user:2"),
            asset: name("coin"),
            amount: Amount::ONE,
        };
        let id = HoldId(Uuid::now_v7());
        self.act(Act::PlaceHold(Box::new(HoldRequest {
            id,
            reservation: posting.try_into().unwrap(),
            expires_in_s: seconds,
            on_expiry: OnExpiry::Release,
            authority: Authority::Bot,
            cap: None,
        })));
        self.placed.push(Placed {
            id,
            lasts_ms: seconds * 1_000,
            passed_ms: 0,
            unsure_ms: 2,
        });
    }

    fn pass(&mut self, ms: u64) {
        self.machine.pass(ms);
        for placed in &mut self.placed {
            placed.passed_ms += ms;
            placed.unsure_ms += ms * u64::from(CLOCK_SLEW_PPM) / 1_000_000 + 1;
        }
    }

    /// Stops the server in an orderly way, or continues with a copy of the file taken while it ran, as after a kill.
    fn stop(&mut self, killed: bool) {
        let storage = self.storage.take().unwrap();
        if killed {
            self.files += 1;
            let copy = self.folder.path().join(format!("guild.{}.db", self.files));
            for companion in ["", "-wal"] {
                let with = |path: &Path| PathBuf::from(format!("{}{companion}", path.display()));
                if with(&self.file).exists() {
                    std::fs::copy(with(&self.file), with(&copy)).unwrap();
                }
            }
            self.file = copy;
        }
        assert!(storage.close());
    }

    /// Starts the server. If it refuses the machine's clock, the operator sets the file's clock to it.
    fn start(&mut self) {
        match self.open() {
            Ok(()) => {}
            Err(StorageError::Clock(_)) => {
                let set = set_clock_of_file(&self.file, &self.machine.source(), render).unwrap();
                assert!(set.set);
                self.open().unwrap();
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Pass(ms) => self.pass(ms),
            Event::Set(by_ms) => self.machine.set(by_ms),
            Event::Hold(seconds) => self.hold(seconds),
            Event::Restart { killed, down_ms } => {
                self.stop(killed);
                self.pass(down_ms);
                self.start();
            }
            Event::Boot { killed, down_ms } => {
                // After a reboot the wall clock alone tells how long the machine was off.
                self.set_file();
                self.stop(killed);
                self.machine.boot(0);
                self.pass(down_ms);
                for placed in &mut self.placed {
                    placed.unsure_ms += u64::try_from(CLOCK_FOLLOWED_MAX.as_millis()).unwrap();
                }
                self.start();
            }
            Event::SetFile => self.set_file(),
        }
    }

    fn set_file(&mut self) {
        self.stop(false);
        set_clock_of_file(&self.file, &self.machine.source(), render).unwrap();
        self.open().unwrap();
    }

    /// Checks the invariants that hold after each event.
    fn check(&mut self) -> Result<(), TestCaseError> {
        self.issue();
        let state = self.storage.as_ref().unwrap().state();
        let books = state.books(&name("guild")).unwrap();
        let newest = books.recorded_at();
        let steps = books.steps_back().len();
        prop_assert!(
            newest >= self.newest.0 || steps > self.newest.1,
            "time went back"
        );
        self.newest = (newest, steps);
        for placed in &self.placed {
            let open = books.hold(placed.id).is_some();
            let Placed {
                lasts_ms,
                passed_ms,
                unsure_ms,
                ..
            } = placed;
            if passed_ms + unsure_ms < *lasts_ms {
                prop_assert!(open, "ended after {} of {}", passed_ms, lasts_ms);
            }
            if passed_ms.saturating_sub(*unsure_ms) >= *lasts_ms {
                prop_assert!(!open, "open after {} of {}", passed_ms, lasts_ms);
            }
        }
        Ok(())
    }

    /// Asserts that the audit of the file passes, and also the audit of a new file into which its economy is imported.
    fn end(mut self) {
        self.set_file();
        self.stop(false);
        assert_audit_passes(&self.file);
        let mut lines = Vec::new();
        let mut take = |some: Vec<u8>| {
            lines.extend(some);
            Ok(())
        };
        export_file(&self.file, &name("guild"), &mut take, &mut |_, _| {}).unwrap();
        let importing = ImportContext {
            time: self.machine.source(),
            system: name("system"),
            seed: Seed::new([3; 32]),
            actor: "owner".into(),
            render,
        };
        let other = self.folder.path().join("other.db");
        import_file(&other, &importing, &mut &*lines, &mut |_, _| {}).unwrap();
        assert_audit_passes(&other);
    }
}

#[test]
fn holds_expire_by_elapsed_time_in_any_clock_history() {
    property(CASES, &events(), |events| {
        let mut world = World::new();
        for event in events {
            world.happen(event);
            world.check()?;
        }
        world.end();
        Ok(())
    });
}

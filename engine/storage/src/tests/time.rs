//! Time of files: marks, extensions after an outage, and recorded changes of the clock.

mod machine;

use bursar_ledger::{
    Books, CallEnding, CallRequest, CallResult, Draft, GrantChoice, Hold, HoldId, HoldRequest,
    HoldRule, HostRequest, OnExpiry, PluginPatch,
};

use super::archives::exported;
use super::*;
use crate::time::timekeeping::{HOLDS_EXTENDED_MAX, OUTAGE_MIN};
use machine::Machine;

/// A moment of 2023, in milliseconds.
const NOW_MS: u64 = 1_700_000_000_000;

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const YEAR_MS: u64 = 365 * 24 * HOUR_MS;

fn closed(storage: Storage) {
    assert!(storage.close());
    drop(storage);
}

/// Reserves a coin of `user:1` for the given number of seconds.
fn hold(number: u128, expires_in_s: u64) -> Act {
    let posting = Posting {
        source: name("user:1"),
        destination: name("user:2"),
        asset: name("coin"),
        amount: Amount::ONE,
    };
    Act::PlaceHold(Box::new(HoldRequest {
        id: HoldId(uuid::Uuid::from_u128(number)),
        reservation: posting.try_into().expect("two accounts"),
        expires_in_s,
        on_expiry: OnExpiry::Release,
        authority: Authority::Bot,
        cap: None,
    }))
}

fn place(storage: &Storage, number: u128, expires_in_s: u64) {
    let asked = submission_at(&format!("/hold/{number}"), None, hold(number, expires_in_s));
    let receiver = storage.submit(asked).expect("room");
    answered(receiver.blocking_recv().expect("an answer").expect("ok"));
}

fn pay(storage: &Storage, key: &str) {
    answered(ask(storage, Some(key), transfer("user:1", "user:2", 1)));
}

fn books(storage: &Storage) -> Arc<Books> {
    Arc::clone(storage.state().books(&guild()).expect("the economy"))
}

fn open_holds(storage: &Storage) -> Vec<Arc<Hold>> {
    let books = books(storage);
    let holds = books.holds_after(None, None);
    holds.map(|(_, hold)| Arc::clone(hold)).collect()
}

/// Installs a game whose stakes are held for an hour, and places the given number of stakes.
fn play(storage: &Storage, stakes: usize) {
    let stake = HoldRule {
        expires_in_s: 3_600,
        on_expiry: OnExpiry::Capture,
    };
    let choice = ComponentChoice {
        holds: [("stake".to_owned(), stake)].into(),
        ..component(b"a game", "game")
    };
    let add = Act::AddComponent {
        digest: Digest::of(b"a game"),
        bytes: 6,
        name: "game".into(),
        version: "1.0.0".into(),
    };
    let added = Submission {
        component: Some((Digest::of(b"a game"), bytes::Bytes::from_static(b"a game"))),
        ..submission(None, add)
    };
    let receiver = storage.submit(added).expect("room");
    answered(receiver.blocking_recv().expect("an answer").expect("ok"));
    let install = Act::SetPlugin {
        plugin: name("game"),
        patch: Box::new(PluginPatch {
            component: Some(choice),
            grants: Some(GrantChoice::Requested),
            enabled: Some(true),
            ..PluginPatch::default()
        }),
    };
    answered(ask(storage, None, install));
    answered(ask(storage, None, issue("user:1", stakes as u64)));
    for first in (0..stakes).step_by(16) {
        let count = 16.min(stakes - first);
        let key = format!("bet {first}");
        let call = bet(&books(storage), &key, first, count);
        answered(ask(storage, Some(&key), call));
    }
}

/// Returns a call that reserves `count` coins, each as a stake of its own.
fn bet(books: &Books, key: &str, number: usize, count: usize) -> Act {
    let request = json!({
        "id": uuid::Uuid::from_u128(number as u128 + 1),
        "plugin": "game", "action": "bet", "caller": "user:1", "arguments": {},
        "key": key, "now": books.recorded_at(),
    });
    let request: CallRequest = serde_json::from_value(request).expect("a call");
    let mut draft =
        Draft::open(books, request.clone(), books.recorded_at()).expect("the call begins");
    for _ in 0..count {
        draft.answer(HostRequest::PlaceHold {
            rule: "stake".into(),
            posting: Posting {
                source: name("user:1"),
                destination: name("plugin:game"),
                asset: name("coin"),
                amount: Amount::ONE,
            },
        });
    }
    Act::Call(Box::new(CallResult {
        request,
        component: draft.component(),
        origin: None,
        transcript: draft.close(),
        ending: CallEnding::Replied { reply: json!({}) },
        fuel: 9,
    }))
}

fn folder_with_guild(machine: &Machine) -> (tempfile::TempDir, PathBuf, Storage) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    let storage = machine.opened(&path);
    found(&storage);
    (folder, path, storage)
}

#[test]
fn a_wall_clock_that_is_set_moves_no_time() {
    let machine = Machine::new();
    let (_folder, path, storage) = folder_with_guild(&machine);
    place(&storage, 1, 2);
    for wall in [NOW_MS + YEAR_MS, NOW_MS - HOUR_MS] {
        machine.set_wall(wall);
        machine.pass(500);
        pay(&storage, &format!("at {wall}"));
        assert_eq!(open_holds(&storage).len(), 1);
    }
    assert_eq!(books(&storage).recorded_at(), Timestamp(NOW_MS + 1_000));
    machine.pass(1_000);
    pay(&storage, "over");
    assert_eq!(open_holds(&storage).len(), 0);
    assert!(!storage.clock().view().followed);
    let report = storage.audit(&[], &Cancel::new(), &mut |_, _| {});
    let report = report.expect("the audit runs");
    assert!(
        report.ok && !report.clock.expect("it is known").followed,
        "{report:#?}"
    );
    closed(storage);
    all_promises_hold(&path);
}

#[test]
fn a_file_of_a_year_ahead_is_refused_and_goes_on_once_its_clock_is_set() {
    let machine = Machine::new();
    machine.set_wall(NOW_MS + YEAR_MS);
    let (folder, path, storage) = folder_with_guild(&machine);
    place(&storage, 1, 2);
    place(&storage, 2, 3_600);
    closed(storage);
    let before = records(&path).len();

    machine.set_wall(NOW_MS);
    let refused = machine.open(&path).err().expect("it is far ahead");
    assert!(matches!(refused, StorageError::Clock(_)), "{refused}");
    let message = refused.to_string();
    assert!(
        message.contains("365 days behind the time of the file"),
        "{message}"
    );
    let shown = clock_of_file(&path, &machine.source).expect("it is shown");
    assert!(!shown.view.followed && shown.mark.is_some(), "{shown:?}");
    assert_eq!(records(&path).len(), before);
    // A file with a time in the future cannot be imported elsewhere before its clock is set.
    let other = folder.path().join("other.db");
    let importing = importing(&machine);
    let lines = exported(&path);
    let refused = import_file(&other, &importing, &mut &*lines, &mut |_, _| {});
    assert!(
        matches!(refused, Err(ArchiveError::Future(_))),
        "{refused:?}"
    );

    let set = set_clock_of_file(&path, &machine.source, render).expect("it is set");
    assert!(set.set && set.economies == 1, "{set:?}");
    let again = set_clock_of_file(&path, &machine.source, render).expect("nothing to do");
    assert!(!again.set && again.economies == 0, "{again:?}");
    let storage = machine.opened(&path);
    let stepped = books(&storage);
    assert_eq!(stepped.recorded_at(), Timestamp(NOW_MS));
    let [step] = *stepped.steps_back().iter().collect::<Vec<_>>() else {
        panic!("{:?}", stepped.steps_back());
    };
    assert_eq!((step.seq, step.to), (stepped.seq(), Timestamp(NOW_MS)));
    // Both holds keep their remaining time.
    let expires: Vec<u64> = open_holds(&storage)
        .iter()
        .map(|it| it.expires_at.0)
        .collect();
    assert_eq!(expires, [NOW_MS + 2_000, NOW_MS + HOUR_MS]);
    machine.pass(1_999);
    pay(&storage, "before");
    assert_eq!(open_holds(&storage).len(), 2);
    machine.pass(1);
    pay(&storage, "after");
    assert_eq!(open_holds(&storage).len(), 1);
    closed(storage);
    all_promises_hold(&path);
    let lines = exported(&path);
    import_file(&other, &importing, &mut &*lines, &mut |_, _| {}).expect("it is imported");
    all_promises_hold(&other);
    assert_eq!(exported(&other), lines);
    closed(machine.opened(&other));
}

#[test]
fn an_economy_is_taken_elsewhere_where_clocks_differ_a_little() {
    let machine = Machine::new();
    let (folder, path, storage) = folder_with_guild(&machine);
    closed(storage);
    let lines = exported(&path);
    let bound = u64::try_from(CLOCK_FOLLOWED_MAX.as_millis()).expect("it is small");
    for (behind, taken) in [(bound + 1, false), (bound, true)] {
        machine.set_wall(NOW_MS - behind);
        let other = folder.path().join(format!("{behind}.db"));
        let imported = import_file(&other, &importing(&machine), &mut &*lines, &mut |_, _| {});
        match imported {
            Ok(_) => closed(machine.opened(&other)),
            Err(error) => assert!(matches!(error, ArchiveError::Future(_)), "{error}"),
        }
        assert_eq!(other.exists(), taken, "{behind}");
    }
}

#[test]
fn a_clock_is_set_ahead_and_nothing_ends_by_it() {
    let machine = Machine::new();
    let (_folder, path, storage) = folder_with_guild(&machine);
    place(&storage, 1, 3_600);
    closed(storage);
    machine.set_wall(NOW_MS + 5 * HOUR_MS);
    assert!(machine.open(&path).is_err());
    set_clock_of_file(&path, &machine.source, render).expect("it is set");
    let storage = machine.opened(&path);
    assert_eq!(
        books(&storage).recorded_at(),
        Timestamp(NOW_MS + 5 * HOUR_MS)
    );
    assert!(books(&storage).steps_back().is_empty());
    machine.pass(HOUR_MS - 1);
    pay(&storage, "before");
    assert_eq!(open_holds(&storage).len(), 1);
    machine.pass(1);
    pay(&storage, "after");
    assert_eq!(open_holds(&storage).len(), 0);
    closed(storage);
    all_promises_hold(&path);
}

#[test]
fn the_past_is_in_the_order_of_records_where_a_moment_came_twice() {
    let machine = Machine::new();
    machine.set_wall(NOW_MS + HOUR_MS);
    let (_folder, path, storage) = folder_with_guild(&machine);
    // One coin moves each minute. After an hour the clock is set back, and the same times occur a second time.
    for number in 0..3 {
        machine.pass(MINUTE_MS);
        pay(&storage, &format!("first {number}"));
    }
    let ahead = books(&storage).recorded_at();
    closed(storage);
    machine.set_wall(NOW_MS + HOUR_MS - 30 * MINUTE_MS);
    set_clock_of_file(&path, &machine.source, render).expect("it is set");
    let storage = machine.opened(&path);
    for number in 0..40 {
        machine.pass(MINUTE_MS);
        pay(&storage, &format!("second {number}"));
    }
    let state = storage.state();
    let had = |at: u64| {
        let books = state.books(&guild()).expect("the economy");
        let query = PastQuery {
            economy: guild(),
            account: name("user:2"),
            assets: vec![name("coin")],
            seq: books.seq(),
            steps_back: books.steps_back().iter().copied().collect(),
            at: Timestamp(at),
        };
        let found = storage.balances_at(&query).expect("a balance");
        found.posted.get(&name("coin")).copied().unwrap_or(0)
    };
    let set = NOW_MS + HOUR_MS - 30 * MINUTE_MS;
    assert_eq!(had(set - 1), 0, "that was before anything");
    assert_eq!(had(set), 3);
    assert_eq!(had(set + MINUTE_MS), 4);
    // The time at which the first coins moved has occurred twice by now.
    assert_eq!(had(ahead.0), 3 + 33);
    assert_eq!(had(set + 40 * MINUTE_MS), 43);
    let since = |after: u64| {
        let filter = HistoryFilter {
            after: Some(Timestamp(after)),
            ..HistoryFilter::default()
        };
        let query = HistoryQuery {
            economy: guild(),
            account: name("user:2"),
            filter,
            steps_back: books(&storage).steps_back().iter().copied().collect(),
            from: None,
            limit: ENTRIES_MAX,
        };
        let page = storage
            .history(&query)
            .expect("a page")
            .expect("it begins there");
        page.entries.len()
    };
    assert_eq!(
        since(ahead.0),
        1 + 8,
        "the last of the first, and what is later now"
    );
    assert_eq!(since(ahead.0 + 1), 7);
    assert_eq!(since(set), 43);
    closed(storage);
    all_promises_hold(&path);
}

#[test]
fn an_outage_is_given_back_to_games_only_and_in_portions() {
    let machine = Machine::new();
    let (_folder, path, storage) = folder_with_guild(&machine);
    play(&storage, HOLDS_EXTENDED_MAX + 1);
    place(&storage, 1_000_000, 3_600);
    closed(storage);
    machine.pass(2 * HOUR_MS);
    let storage = machine.opened(&path);
    assert_eq!(recorded(&path, "extend_holds"), 2);
    pay(&storage, "now");
    let open = open_holds(&storage);
    assert_eq!(
        open.len(),
        HOLDS_EXTENDED_MAX + 1,
        "the hold of no game is over"
    );
    assert!(open.iter().all(|hold| hold.plugin.is_some()));
    machine.pass(HOUR_MS - 1);
    pay(&storage, "before");
    assert_eq!(open_holds(&storage).len(), HOLDS_EXTENDED_MAX + 1);
    machine.pass(1);
    for number in 0..10 {
        pay(&storage, &format!("after {number}"));
    }
    assert_eq!(open_holds(&storage).len(), 0);
    closed(storage);
    all_promises_hold(&path);
}

#[test]
fn a_restart_is_no_outage_and_what_is_longer_is() {
    let least = u64::try_from(OUTAGE_MIN.as_millis()).expect("it is small");
    for (down, made_up) in [(least, 0), (least + 1, 1)] {
        let machine = Machine::new();
        let (_folder, path, storage) = folder_with_guild(&machine);
        play(&storage, 1);
        let before = open_holds(&storage);
        closed(storage);
        machine.pass(down);
        let storage = machine.opened(&path);
        assert_eq!(recorded(&path, "extend_holds"), made_up, "{down}");
        let after = open_holds(&storage);
        let longer = |hold: &Arc<Hold>| hold.expires_at.0;
        let longer = after.iter().map(longer).sum::<u64>() - before.iter().map(longer).sum::<u64>();
        assert_eq!(longer, if made_up > 0 { down } else { 0 });
        closed(storage);
        all_promises_hold(&path);
    }
}

#[test]
fn an_outage_that_a_start_was_cut_off_in_is_given_back_once() {
    let machine = Machine::new();
    let (folder, path, storage) = folder_with_guild(&machine);
    play(&storage, 1);
    let [before] = &*open_holds(&storage) else {
        panic!("one stake is held");
    };
    closed(storage);
    machine.pass(HOUR_MS);
    // A start that is killed at once has added the hour of the outage and left no mark of its own.
    let storage = machine.opened(&path);
    let killed = folder.path().join("killed.db");
    for companion in ["", "-wal"] {
        let from = format!("{}{companion}", path.display());
        let to = format!("{}{companion}", killed.display());
        if Path::new(&from).exists() {
            std::fs::copy(from, to).expect("it is copied");
        }
    }
    closed(storage);
    machine.pass(MINUTE_MS);
    let storage = machine.opened(&killed);
    let [after] = &*open_holds(&storage) else {
        panic!("one stake is held");
    };
    assert_eq!(
        after.expires_at.0 - before.expires_at.0,
        HOUR_MS + MINUTE_MS
    );
    closed(storage);
    all_promises_hold(&killed);
}

#[test]
fn the_first_start_after_a_boot_leaves_a_mark_at_once() {
    let machine = Machine::new();
    let (_folder, path, storage) = folder_with_guild(&machine);
    closed(storage);
    vandalise(&path, "UPDATE clock_mark SET boot = 'the one before'");
    machine.pass(HOUR_MS);
    let storage = machine.opened(&path);
    let kept = "SELECT kept FROM clock_mark WHERE boot = 'boot'";
    let now = i64::try_from(NOW_MS + HOUR_MS).expect("it is small");
    assert_eq!(count(&path, kept), now);
    closed(storage);
    all_promises_hold(&path);
}

#[test]
fn a_mark_goes_with_a_commit_and_is_left_at_the_end() {
    let machine = Machine::new();
    let (_folder, path, storage) = folder_with_guild(&machine);
    let kept = "SELECT kept FROM clock_mark";
    let now = |passed: u64| i64::try_from(NOW_MS + passed).expect("it is small");
    assert_eq!(count(&path, kept), now(0), "a new file is marked at once");
    machine.pass(5_000);
    closed(storage);
    assert_eq!(count(&path, kept), now(5_000));
    vandalise(&path, "UPDATE clock_mark SET kept = -1");
    let storage = machine.opened(&path);
    closed(storage);
    all_promises_hold(&path);
}

fn importing(machine: &Machine) -> ImportContext {
    ImportContext {
        time: machine.source.clone(),
        system: name("system"),
        seed: Seed::new([9; 32]),
        actor: "owner".into(),
        render,
    }
}

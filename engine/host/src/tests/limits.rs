//! What a call may use up, at each limit and one beyond.

use std::time::Duration;

use bursar_ledger::{FuelClass, HostRequest};
use wasmtime::UpdateDeadline;

use super::guest::{Guest, times};
use super::world::{
    checked, draft, draft_granted, ending, fault, fault_of, finish, host, load, origin, patient,
    replied, run, run_draft, untimed,
};
use crate::limits::{FUEL_PER_READ, INSTANCES_MAX, TABLE_ELEMENTS_MAX, TABLES_MAX};
use crate::run::call::store;
use crate::run::cpu_time;
use crate::run::guest::Guest as Store;
use crate::run::responder::Responder;
use crate::{CallFailure, CheckedComponent, Compiler, Limits, LoadError, PluginHost};

/// Pages of 64 KiB in the memory that a call may have.
const PAGES: usize = Limits::standard().memory_bytes / 65_536;

/// The code and the text of what the check finds in a guest.
fn refusal(guest: &Guest) -> (&'static str, String) {
    let Err(LoadError::Refused(report)) = host().check(&guest.bytes()) else {
        panic!("it is let in");
    };
    let finding = &report.findings[0];
    (finding.code, finding.message.clone())
}

/// A guest that does some work of its own.
fn working() -> Guest {
    Guest::doing(&times(1_000, "(i64.store (i32.const 512) (i64.const 1))"))
}

/// A guest that uses a bit of everything.
fn busy() -> Guest {
    let mut guest = Guest::new();
    let texts = ["user:1", "plugin:tester", "coin", "{\"f\": 0.1}"].map(|text| guest.text(text));
    let [member, plugin, coin, value] = texts;
    guest.does(&format!(
        "(call $host-ledger-balance {member} {coin} (i32.const 64))
        (call $host-ledger-transfer {member} {plugin} {coin} (i64.const 5) (i32.const 64))
        (call $host-fair-secure {plugin} {coin} (i64.const 9) (i32.const 64))
        (drop (call $host-fair-below (i32.const 1000000) {coin}))
        (call $host-state-set {coin} {value})
        (call $host-state-list {coin} (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 64))
        (call $host-call-configuration (i32.const 64))
        (f64.store (i32.const 512) (f64.div (f64.const 0) (f64.const 0)))
        (call $host-log-write (i32.const 2) {value})
        {}",
        times(500, "(drop (memory.grow (i32.const 0)))")
    ));
    guest
}

#[test]
fn fuel_ends_at_what_a_call_needs() {
    let checked = checked(&working());
    let burned = run(&checked, &Limits::standard()).unwrap().fuel;
    let with = |fuel: u64| {
        let limits = Limits { fuel, ..patient() };
        run(&checked, &limits).unwrap()
    };
    let whole = with(burned);
    assert!(replied(&whole.ending));
    assert_eq!(whole.fuel, burned);
    // Fuel is looked at where functions and loops begin: what comes after the last of them may
    // take more than is left.
    let (mut least, mut most) = (0, burned);
    while least + 1 < most {
        let middle = u64::midpoint(least, most);
        let enough = replied(&with(middle).ending);
        *(if enough { &mut most } else { &mut least }) = middle;
    }
    assert!(burned - most < 20, "{most} of {burned}");
    for fuel in [1, most / 2, most - 1] {
        let finished = with(fuel);
        assert!(finished.fuel >= fuel, "all of it is gone");
        assert_eq!(fault_of(finished.ending), "it ran out of fuel");
    }
}

#[test]
fn requests_are_charged_up_to_the_same_limit() {
    let checked = checked(&Guest::doing(&times(10, "(drop (call $host-call-now))")));
    let whole = run(&checked, &patient()).unwrap();
    let charged = 10 * FUEL_PER_READ;
    assert!(
        whole.fuel > charged && whole.fuel < charged + 1_000,
        "{}",
        whole.fuel
    );
    let within = |fuel: u64| Limits { fuel, ..patient() };
    assert!(replied(&run(&checked, &within(charged)).unwrap().ending));
    let finished = run(&checked, &within(charged - 1)).unwrap();
    assert_eq!(
        fault_of(finished.ending),
        "its requests to the host have used up its fuel"
    );
}

/// What was granted is what there is: of the guest's own fuel, and of what it may ask of the host.
#[test]
fn fuel_ends_where_its_class_says() {
    let classes = [
        (FuelClass::Small, 10_000_000),
        (FuelClass::Standard, 50_000_000),
        (FuelClass::Large, 500_000_000),
    ];
    let limits = patient();
    let spinning = checked(&Guest::doing("(loop br 0)"));
    for (class, fuel) in classes {
        let ended =
            |checked: &CheckedComponent| run_draft(checked, &limits, draft_granted(class)).unwrap();
        let spun = ended(&spinning);
        assert!((fuel..fuel + 20).contains(&spun.fuel), "{}", spun.fuel);
        assert_eq!(fault_of(spun.ending), "it ran out of fuel");
        let asking = |count: u64| {
            let count = usize::try_from(count).unwrap();
            let asking = times(count, "(drop (call $host-call-now))");
            ended(&checked(&Guest::doing(&asking))).ending
        };
        let most = fuel / FUEL_PER_READ;
        assert!(replied(&asking(most)), "{class:?}");
        assert_eq!(
            fault_of(asking(most + 1)),
            "its requests to the host have used up its fuel"
        );
    }
}

#[test]
fn fuel_is_the_same_number_in_every_run() {
    let (busy, spinning) = (checked(&busy()), checked(&Guest::doing("(loop br 0)")));
    let limits = Limits {
        fuel: 300_000,
        ..patient()
    };
    let first = run(&busy, &limits).unwrap();
    assert!(replied(&first.ending), "{:?}", first.ending);
    let stopped = run(&spinning, &limits).unwrap();
    for _ in 0..20 {
        assert_eq!(run(&busy, &limits).unwrap(), first);
        assert_eq!(run(&spinning, &limits).unwrap(), stopped);
    }
}

#[test]
fn price_of_a_call_is_what_it_was() {
    // A newer engine that counts otherwise changes what stays within a limit: that must be seen.
    let fuels = [Guest::new(), working(), busy()].map(|guest| finish(&guest).fuel);
    assert_eq!(fuels, [238, 11_242, 151_002]);
}

#[test]
fn same_call_is_the_same_on_another_host() {
    let hosts = [(); 2].map(|()| PluginHost::new(patient(), Compiler::Here, None).unwrap());
    let mut trapping = busy();
    trapping.handle.push_str("(unreachable)");
    for guest in [&busy(), &trapping, &Guest::doing("(loop br 0)")] {
        let [one, other] = hosts
            .each_ref()
            .map(|host| load(host, guest).run(draft(), origin).unwrap());
        assert_eq!(untimed(one), untimed(other));
    }
}

/// A call runs into its deadline long before it is out of fuel.
fn hasty() -> Limits {
    Limits {
        fuel: u64::MAX / 4,
        deadline: Duration::from_millis(30),
        ..patient()
    }
}

#[test]
fn call_that_runs_into_its_deadline_is_no_outcome() {
    let limits = hasty();
    let spinning = checked(&Guest::doing("(loop br 0)"));
    assert_eq!(run(&spinning, &limits), Err(CallFailure::Deadline));
    let asking = Guest::doing("(loop (drop (call $host-call-now)) (br 0))");
    assert_eq!(run(&checked(&asking), &limits), Err(CallFailure::Deadline));
}

#[test]
fn each_end_of_a_call_tells_the_processor_time_that_it_took() {
    let cpu = |guest: &str, limits: &Limits| {
        let checked = checked(&Guest::doing(guest));
        match crate::run::call::run(&checked, limits, draft(), Box::new(origin)) {
            Ok(finished) => finished.cpu,
            Err(unfinished) => unfinished.cpu,
        }
    };
    let before = cpu_time::of_this_thread();
    let told = [
        cpu("", &patient()),
        cpu("(loop br 0)", &patient()),
        cpu("(loop br 0)", &hasty()),
    ];
    let used = cpu_time::of_this_thread().saturating_sub(before);
    assert!(told.iter().all(|cpu| *cpu > Duration::ZERO), "{told:?}");
    let told: Duration = told.iter().sum();
    assert!(told <= used, "{told:?} of {used:?}");
}

#[test]
fn call_that_has_drawn_goes_on_past_its_deadline_once() {
    let limits = patient();
    let teller = Responder::Draft(Box::new(draft()));
    let mut guest = Store::called(teller, Box::new(origin), &limits);
    let met = |guest: &mut Store| matches!(guest.deadline_met(7), UpdateDeadline::Continue(7));
    assert!(!met(&mut guest), "it has not drawn yet");
    let label = "coin".into();
    guest
        .ask_draw(HostRequest::Draw { range: 2, label })
        .unwrap();
    assert!(met(&mut guest));
    assert!(!met(&mut guest), "it has had its time");
}

#[test]
fn description_that_runs_into_its_deadline_says_nothing_about_the_component() {
    let host = PluginHost::new(hasty(), Compiler::Here, None).unwrap();
    let mut guest = Guest::new();
    guest.describe = "(loop br 0) unreachable".into();
    let failed = host.check(&guest.bytes()).err().unwrap();
    let LoadError::Failed(why) = failed else {
        panic!("it is the component's: {failed}");
    };
    assert!(why.contains("deadline"), "{why}");
}

#[test]
fn recursion_without_end_is_no_outcome() {
    let mut guest = Guest::doing("(call $deep)");
    guest.fields = "(func $deep (call $deep))".into();
    assert_eq!(
        run(&checked(&guest), &patient()),
        Err(CallFailure::StackOverflow)
    );
    guest.describe = "(call $deep)".into();
    let (code, message) = refusal(&guest);
    assert_eq!(code, "describe_failed");
    assert!(message.contains("its stack overflowed"), "{message}");
}

#[test]
fn memory_grows_to_its_limit_and_not_beyond() {
    let grow = |pages: usize| Guest::doing(&format!("(drop (memory.grow (i32.const {pages})))"));
    assert!(replied(&ending(&grow(PAGES - 16))));
    for pages in [PAGES - 15, 60_000] {
        let fault = fault(&grow(pages));
        assert!(fault.contains("growing memory"), "{fault}");
    }
}

#[test]
fn memory_begins_within_its_limit() {
    let mut guest = Guest::new();
    guest.memory = format!("{PAGES}");
    assert!(replied(&ending(&guest)));
    guest.memory = format!("{}", PAGES + 1);
    let (code, message) = refusal(&guest);
    assert_eq!(code, "compile_failed");
    assert!(message.contains("memory"), "{message}");
}

#[test]
fn memories_are_two_at_most() {
    let mut guest = Guest::new();
    guest.fields = format!("(memory {PAGES})");
    assert!(replied(&ending(&guest)));
    guest.fields = "(memory 1) (memory 1)".into();
    let (code, message) = refusal(&guest);
    assert_eq!(code, "compile_failed");
    assert!(message.contains("memories"), "{message}");
}

#[test]
fn table_grows_to_its_limit_and_not_beyond() {
    let grow = |elements: usize| {
        let mut guest = Guest::doing(&format!(
            "(drop (table.grow $table (ref.null func) (i32.const {elements})))"
        ));
        guest.fields = "(table $table 1 funcref)".into();
        guest
    };
    assert!(replied(&ending(&grow(TABLE_ELEMENTS_MAX - 1))));
    let said = fault(&grow(TABLE_ELEMENTS_MAX));
    assert!(said.contains("growing table"), "{said}");
    // Each element costs fuel, too.
    assert_eq!(fault(&grow(1 << 30)), "it ran out of fuel");
}

#[test]
fn tables_begin_within_their_limits() {
    let mut guest = Guest::new();
    guest.fields = format!("(table {TABLE_ELEMENTS_MAX} funcref)");
    assert!(replied(&ending(&guest)));
    for elements in [TABLE_ELEMENTS_MAX + 1, 10_000_000] {
        guest.fields = format!("(table {elements} funcref)");
        assert_eq!(refusal(&guest).0, "table_too_large");
    }
    guest.fields = "(table 1 funcref)".repeat(TABLES_MAX);
    assert!(replied(&ending(&guest)));
    guest.fields = "(table 1 funcref)".repeat(TABLES_MAX + 1);
    let (code, message) = refusal(&guest);
    assert_eq!(code, "compile_failed");
    assert!(message.contains("tables"), "{message}");
}

#[test]
fn core_instances_end_at_their_limit() {
    let mut guest = Guest::new();
    // Two are the guest's own.
    let more = |count: usize| {
        let instances = "(core instance (instantiate $empty))".repeat(count);
        format!("(core module $empty) {instances}")
    };
    guest.component_fields = more(INSTANCES_MAX - 2);
    assert!(replied(&ending(&guest)));
    guest.component_fields = more(INSTANCES_MAX - 1);
    let (code, message) = refusal(&guest);
    assert_eq!(code, "too_many_instances");
    assert!(message.contains("instances"), "{message}");
}

#[test]
fn one_crossing_copies_no_more_than_its_limit() {
    let most = Limits::standard().hostcall_bytes;
    let log = |bytes: usize| {
        Guest::doing(&format!(
            "(call $host-log-write (i32.const 1) (i32.const 4096) (i32.const {bytes}))"
        ))
    };
    assert!(replied(&ending(&log(most))));
    let said = fault(&log(most + 1));
    assert!(said.contains("too much data"), "{said}");
    let mut guest = Guest::new();
    guest.handle = format!("(call $reply (i32.const 4096) (i32.const {}))", most + 1);
    let said = fault(&guest);
    assert!(said.contains("too much data"), "{said}");
}

#[test]
fn nothing_of_a_call_is_left_for_the_next() {
    let mut guest = Guest::doing(
        "(if (i32.load (i32.const 900000)) (then unreachable))
        (if (global.get $seen) (then unreachable))
        (if (table.size $table) (then unreachable))
        (i32.store (i32.const 900000) (i32.const 1))
        (global.set $seen (i32.const 1))
        (drop (table.grow $table (ref.null func) (i32.const 100)))",
    );
    guest.fields = "(global $seen (mut i32) (i32.const 0)) (table $table 0 funcref)".into();
    let checked = checked(&guest);
    for _ in 0..50 {
        let finished = run(&checked, &patient()).unwrap();
        assert!(replied(&finished.ending), "{:?}", finished.ending);
    }
}

#[test]
fn host_still_serves_after_many_hostile_calls() {
    let host = PluginHost::new(patient(), Compiler::Here, None).unwrap();
    let grow = "(loop $more (i32.store8 (i32.mul (memory.grow (i32.const 1)) (i32.const 65536))
        (i32.const 1)) (br $more))";
    let eater = load(&host, &Guest::doing(grow));
    let mut guest = Guest::doing("(call $deep)");
    guest.fields = "(func $deep (call $deep))".into();
    let digger = load(&host, &guest);
    for _ in 0..200 {
        let fault = fault_of(eater.run(draft(), origin).unwrap().ending);
        assert!(fault.contains("growing memory"), "{fault}");
        let dug = digger.run(draft(), origin).map_err(|dug| dug.failure);
        assert_eq!(dug, Err(CallFailure::StackOverflow));
    }
    let good = load(&host, &busy()).run(draft(), origin).unwrap();
    assert_eq!(untimed(good), finish(&busy()));
}

#[test]
fn call_for_which_there_is_no_room_is_no_outcome() {
    let host = PluginHost::new(patient(), Compiler::Here, None).unwrap();
    let checked = host.check(&Guest::new().bytes()).unwrap();
    let limits = patient();
    let mut living = Vec::new();
    loop {
        let store = store(
            checked.exports.engine(),
            Store::describing(&limits),
            &limits,
        );
        let mut store = store.unwrap();
        if checked.exports.describe(&mut store).is_err() {
            break;
        }
        living.push(store);
    }
    assert_eq!(living.len(), 36);
    assert_eq!(run(&checked, &limits), Err(CallFailure::Exhausted));
    living.pop();
    assert!(replied(&run(&checked, &limits).unwrap().ending));
}

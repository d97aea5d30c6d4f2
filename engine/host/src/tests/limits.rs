//! The limits of a call, each at the limit and one beyond.

use std::time::Duration;

use bursar_ledger::{FuelClass, HostRequest};
use wasmtime::UpdateDeadline;

use super::economy::{
    checked, draft, draft_with_fuel, ending, fault, fault_of, finish, host, load, origin, patient,
    replied, run, run_draft, untimed,
};
use super::guest::{Guest, times};
use crate::limits::{FUEL_PER_READ, INSTANCES_MAX, TABLE_ELEMENTS_MAX, TABLES_MAX};
use crate::run::cpu_time::thread_cpu_time;
use crate::run::guest::Guest as Store;
use crate::run::responder::Responder;
use crate::sandbox::new_store;
use crate::{CallFailure, CheckedComponent, Compiler, Limits, LoadError, PluginHost};

/// Pages of 64 KiB in the memory of a call.
const PAGES: usize = Limits::standard().memory_bytes / 65_536;

/// Returns the code and the message of the finding about a guest.
fn rejection(guest: &Guest) -> (&'static str, String) {
    let Err(LoadError::Refused(report)) = host().check(&guest.bytes()) else {
        panic!("it passes the check");
    };
    let finding = &report.findings[0];
    (finding.code, finding.message.clone())
}

/// Returns a guest that computes without the host.
fn working() -> Guest {
    Guest::doing(&times(1_000, "(i64.store (i32.const 512) (i64.const 1))"))
}

/// Returns a guest that uses many host functions.
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
    let used = run(&checked, &Limits::standard()).unwrap().fuel;
    let with = |fuel: u64| {
        let limits = Limits { fuel, ..patient() };
        run(&checked, &limits).unwrap()
    };
    let whole = with(used);
    assert!(replied(&whole.ending));
    assert_eq!(whole.fuel, used);
    // wasmtime checks fuel at the start of functions and loops, so code after the last check can use more than is left.
    let mut too_little = 0;
    let mut enough = used;
    while too_little + 1 < enough {
        let middle = u64::midpoint(too_little, enough);
        let suffices = replied(&with(middle).ending);
        *(if suffices {
            &mut enough
        } else {
            &mut too_little
        }) = middle;
    }
    assert!(used - enough < 20, "{enough} of {used}");
    for fuel in [1, enough / 2, enough - 1] {
        let outcome = with(fuel);
        assert!(outcome.fuel >= fuel, "all fuel is used");
        assert_eq!(fault_of(outcome.ending), "it ran out of fuel");
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
    let outcome = run(&checked, &within(charged - 1)).unwrap();
    assert_eq!(
        fault_of(outcome.ending),
        "its requests to the host have used up its fuel"
    );
}

/// The grant limits both the guest's own fuel and the fuel of its requests.
#[test]
fn fuel_ends_at_the_limit_of_its_class() {
    let classes = [
        (FuelClass::Small, 10_000_000),
        (FuelClass::Standard, 50_000_000),
        (FuelClass::Large, 500_000_000),
    ];
    let limits = patient();
    let spinning = checked(&Guest::doing("(loop br 0)"));
    for (class, fuel) in classes {
        let run_with_class = |checked: &CheckedComponent| {
            run_draft(checked, &limits, draft_with_fuel(class)).unwrap()
        };
        let spun = run_with_class(&spinning);
        assert!((fuel..fuel + 20).contains(&spun.fuel), "{}", spun.fuel);
        assert_eq!(fault_of(spun.ending), "it ran out of fuel");
        let ending_of = |count: u64| {
            let count = usize::try_from(count).unwrap();
            let requests = times(count, "(drop (call $host-call-now))");
            run_with_class(&checked(&Guest::doing(&requests))).ending
        };
        let max = fuel / FUEL_PER_READ;
        assert!(replied(&ending_of(max)), "{class:?}");
        assert_eq!(
            fault_of(ending_of(max + 1)),
            "its requests to the host have used up its fuel"
        );
    }
}

#[test]
fn fuel_is_the_same_number_in_every_run() {
    let busy = checked(&busy());
    let spinning = checked(&Guest::doing("(loop br 0)"));
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
fn fuel_of_known_calls_is_unchanged() {
    // An update of wasmtime that counts fuel differently would change which calls stay within a limit.
    let fuels = [Guest::new(), working(), busy()].map(|guest| finish(&guest).fuel);
    assert_eq!(fuels, [238, 11_242, 151_002]);
}

#[test]
fn same_call_is_the_same_on_another_host() {
    let hosts = [(); 2].map(|()| PluginHost::new(patient(), Compiler::InProcess, None).unwrap());
    let mut trapping = busy();
    trapping.handle.push_str("(unreachable)");
    for guest in [&busy(), &trapping, &Guest::doing("(loop br 0)")] {
        let [one, other] = hosts
            .each_ref()
            .map(|host| load(host, guest).run(draft(), origin).unwrap());
        assert_eq!(untimed(one), untimed(other));
    }
}

/// Returns limits by which a call reaches its deadline long before its fuel is used up.
fn hasty() -> Limits {
    Limits {
        fuel: u64::MAX / 4,
        deadline: Duration::from_millis(30),
        ..patient()
    }
}

#[test]
fn call_that_reaches_its_deadline_is_no_outcome() {
    let limits = hasty();
    let spinning = checked(&Guest::doing("(loop br 0)"));
    assert_eq!(run(&spinning, &limits), Err(CallFailure::Deadline));
    let requesting = Guest::doing("(loop (drop (call $host-call-now)) (br 0))");
    assert_eq!(
        run(&checked(&requesting), &limits),
        Err(CallFailure::Deadline)
    );
}

#[test]
fn every_ending_reports_its_processor_time() {
    let cpu = |guest: &str, limits: &Limits| {
        let checked = checked(&Guest::doing(guest));
        match crate::run::call::run(&checked, limits, draft(), Box::new(origin)) {
            Ok(outcome) => outcome.cpu,
            Err(failed) => failed.cpu,
        }
    };
    let before = thread_cpu_time();
    let reported = [
        cpu("", &patient()),
        cpu("(loop br 0)", &patient()),
        cpu("(loop br 0)", &hasty()),
    ];
    let used = thread_cpu_time().saturating_sub(before);
    assert!(
        reported.iter().all(|cpu| *cpu > Duration::ZERO),
        "{reported:?}"
    );
    let sum: Duration = reported.iter().sum();
    assert!(sum <= used, "{sum:?} of {used:?}");
}

#[test]
fn deadline_of_a_call_that_has_drawn_is_extended_once() {
    let limits = patient();
    let responder = Responder::Draft(Box::new(draft()));
    let mut guest = Store::for_call(responder, Box::new(origin), &limits);
    let is_extended =
        |guest: &mut Store| matches!(guest.on_deadline(7), UpdateDeadline::Continue(7));
    assert!(!is_extended(&mut guest), "it has not drawn yet");
    let label = "coin".into();
    guest
        .request_draw(HostRequest::Draw { range: 2, label })
        .unwrap();
    assert!(is_extended(&mut guest));
    assert!(
        !is_extended(&mut guest),
        "the deadline is extended only once"
    );
}

#[test]
fn description_that_reaches_its_deadline_is_no_finding() {
    let host = PluginHost::new(hasty(), Compiler::InProcess, None).unwrap();
    let mut guest = Guest::new();
    guest.describe = "(loop br 0) unreachable".into();
    let failed = host.check(&guest.bytes()).err().unwrap();
    let LoadError::Failed(message) = failed else {
        panic!("a finding about the component: {failed}");
    };
    assert!(message.contains("deadline"), "{message}");
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
    let (code, message) = rejection(&guest);
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
    let (code, message) = rejection(&guest);
    assert_eq!(code, "compile_failed");
    assert!(message.contains("memory"), "{message}");
}

#[test]
fn memories_are_two_at_most() {
    let mut guest = Guest::new();
    guest.fields = format!("(memory {PAGES})");
    assert!(replied(&ending(&guest)));
    guest.fields = "(memory 1) (memory 1)".into();
    let (code, message) = rejection(&guest);
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
    let fault_text = fault(&grow(TABLE_ELEMENTS_MAX));
    assert!(fault_text.contains("growing table"), "{fault_text}");
    // Each element costs fuel as well.
    assert_eq!(fault(&grow(1 << 30)), "it ran out of fuel");
}

#[test]
fn tables_begin_within_their_limits() {
    let mut guest = Guest::new();
    guest.fields = format!("(table {TABLE_ELEMENTS_MAX} funcref)");
    assert!(replied(&ending(&guest)));
    for elements in [TABLE_ELEMENTS_MAX + 1, 10_000_000] {
        guest.fields = format!("(table {elements} funcref)");
        assert_eq!(rejection(&guest).0, "table_too_large");
    }
    guest.fields = "(table 1 funcref)".repeat(TABLES_MAX);
    assert!(replied(&ending(&guest)));
    guest.fields = "(table 1 funcref)".repeat(TABLES_MAX + 1);
    let (code, message) = rejection(&guest);
    assert_eq!(code, "compile_failed");
    assert!(message.contains("tables"), "{message}");
}

#[test]
fn core_instances_end_at_their_limit() {
    let mut guest = Guest::new();
    // The guest itself has two.
    let more = |count: usize| {
        let instances = "(core instance (instantiate $empty))".repeat(count);
        format!("(core module $empty) {instances}")
    };
    guest.component_fields = more(INSTANCES_MAX - 2);
    assert!(replied(&ending(&guest)));
    guest.component_fields = more(INSTANCES_MAX - 1);
    let (code, message) = rejection(&guest);
    assert_eq!(code, "too_many_instances");
    assert!(message.contains("instances"), "{message}");
}

#[test]
fn one_host_call_copies_up_to_its_limit() {
    let max = Limits::standard().hostcall_bytes;
    let log = |bytes: usize| {
        Guest::doing(&format!(
            "(call $host-log-write (i32.const 1) (i32.const 4096) (i32.const {bytes}))"
        ))
    };
    assert!(replied(&ending(&log(max))));
    let fault_text = fault(&log(max + 1));
    assert!(fault_text.contains("too much data"), "{fault_text}");
    let mut guest = Guest::new();
    guest.handle = format!("(call $reply (i32.const 4096) (i32.const {}))", max + 1);
    let fault_text = fault(&guest);
    assert!(fault_text.contains("too much data"), "{fault_text}");
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
        let outcome = run(&checked, &patient()).unwrap();
        assert!(replied(&outcome.ending), "{:?}", outcome.ending);
    }
}

#[test]
fn host_still_serves_after_many_hostile_calls() {
    let host = PluginHost::new(patient(), Compiler::InProcess, None).unwrap();
    let grow = "(loop $more (i32.store8 (i32.mul (memory.grow (i32.const 1)) (i32.const 65536))
        (i32.const 1)) (br $more))";
    let memory_eater = load(&host, &Guest::doing(grow));
    let mut guest = Guest::doing("(call $deep)");
    guest.fields = "(func $deep (call $deep))".into();
    let recursive = load(&host, &guest);
    for _ in 0..200 {
        let fault = fault_of(memory_eater.run(draft(), origin).unwrap().ending);
        assert!(fault.contains("growing memory"), "{fault}");
        let result = recursive
            .run(draft(), origin)
            .map_err(|failed| failed.failure);
        assert_eq!(result, Err(CallFailure::StackOverflow));
    }
    let good = load(&host, &busy()).run(draft(), origin).unwrap();
    assert_eq!(untimed(good), finish(&busy()));
}

#[test]
fn call_without_a_free_instance_slot_is_no_outcome() {
    let host = PluginHost::new(patient(), Compiler::InProcess, None).unwrap();
    let checked = host.check(&Guest::new().bytes()).unwrap();
    let limits = patient();
    let mut stores = Vec::new();
    loop {
        let store = new_store(
            checked.exports.engine(),
            Store::for_description(&limits),
            &limits,
        );
        let mut store = store.unwrap();
        if checked.exports.describe(&mut store).is_err() {
            break;
        }
        stores.push(store);
    }
    assert_eq!(stores.len(), 36);
    assert_eq!(run(&checked, &limits), Err(CallFailure::Exhausted));
    stores.pop();
    assert!(replied(&run(&checked, &limits).unwrap().ending));
}

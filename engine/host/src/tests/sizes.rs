//! Sizes, counts and options that are checked before validation, each at its limit and one beyond.

use super::check::{codes, codes_of, finding, findings};
use super::guest::{Guest, bytes, functions_of, nested};
use crate::check::{check_sizes, check_validity};
use crate::limits::{
    BLOCKS_NESTED_MAX, BODY_BYTES_MAX, BRANCHES_MAX, CODE_BYTES_MAX, FINDINGS_OF_A_KIND_MAX,
    FUNCTIONS_MAX, IMPORTS_MAX, INSTANCES_MAX, LOCALS_MAX, NESTING_MAX, PARTS_MAX, TYPES_BYTES_MAX,
    TYPES_MAX,
};

/// Returns the codes of the findings about a component with one core module of these fields.
fn module(fields: &str) -> Vec<&'static str> {
    codes(&bytes(&format!("(component (core module {fields}))")))
}

#[test]
fn sizes_end_at_their_limits() {
    let sizes = |functions: &[usize]| match check_sizes(&functions_of(functions)) {
        Ok(()) => Vec::new(),
        Err(report) => codes_of(&report.findings),
    };
    assert_eq!(sizes(&vec![2; FUNCTIONS_MAX]), [""; 0]);
    assert_eq!(sizes(&vec![2; FUNCTIONS_MAX + 1]), ["too_many_functions"]);
    assert_eq!(sizes(&[BODY_BYTES_MAX]), [""; 0]);
    assert_eq!(sizes(&[BODY_BYTES_MAX + 1]), ["function_too_large"]);
    let mut all = vec![BODY_BYTES_MAX; CODE_BYTES_MAX / BODY_BYTES_MAX];
    assert_eq!(sizes(&all), [""; 0]);
    all.push(2);
    assert_eq!(sizes(&all), ["too_much_code"]);
    all.push(BODY_BYTES_MAX + 1);
    assert_eq!(sizes(&all), ["function_too_large", "too_much_code"]);
}

#[test]
fn component_that_was_encoded_by_hand_is_valid() {
    // If it were invalid, the test of the sizes would show nothing.
    let good = functions_of(&[2, 3, 200, 70_000]);
    check_validity(&good).unwrap();
    assert_eq!(codes(&good), ["export_missing"]);
}

#[test]
fn parts_are_counted_at_every_depth() {
    let mut guest = Guest::new();
    // The guest itself has two modules and one component.
    guest.component_fields = "(core module)".repeat(PARTS_MAX - 4);
    guest.component_fields.push_str("(component)");
    assert_eq!(findings(&guest.bytes()), []);
    guest.component_fields.push_str("(component (core module))");
    let finding = finding(&guest.bytes());
    assert_eq!(finding.code, "too_many_parts");
    assert!(
        finding.message.contains("66; at most 64 are allowed"),
        "{}",
        finding.message
    );
}

/// Encodes a component with nested instance types in a section of this many bytes.
fn nested_types(bytes: usize) -> Vec<u8> {
    let leb = |mut number: usize| {
        let mut encoded = Vec::new();
        loop {
            let low = u8::try_from(number % 128).unwrap();
            number /= 128;
            encoded.push(if number > 0 { low | 128 } else { low });
            if number == 0 {
                return encoded;
            }
        }
    };
    // One type, an instance type with one declaration, which is again such a type.
    let mut section = vec![1];
    while section.len() + 5 <= bytes {
        section.extend([0x42, 1, 1]);
    }
    section.extend([0x42, 0]);
    let mut component = b"\0asm\x0d\0\x01\0\x07".to_vec();
    component.extend(leb(section.len()));
    component.extend(section);
    component
}

#[test]
fn types_within_types_end_before_the_stack_does() {
    assert_eq!(codes(&nested_types(TYPES_BYTES_MAX)), ["export_missing"]);
    assert_eq!(
        codes(&nested_types(TYPES_BYTES_MAX + 3)),
        ["types_too_large"]
    );
    assert_eq!(codes(&nested_types(1 << 20)), ["types_too_large"]);
}

#[test]
fn blocks_within_blocks_end_at_their_limit() {
    let nested = |depth: usize| {
        let mut guest = Guest::new();
        guest.fields = format!("(func {} {})", "(block ".repeat(depth), ")".repeat(depth));
        guest.bytes()
    };
    assert_eq!(codes(&nested(BLOCKS_NESTED_MAX)), [""; 0]);
    assert_eq!(codes(&nested(BLOCKS_NESTED_MAX + 1)), ["function_too_deep"]);
}

#[test]
fn counts_of_a_module_end_at_their_limits() {
    let types = |count: usize| module(&"(type (func))".repeat(count));
    assert_eq!(types(TYPES_MAX), ["export_missing"]);
    assert_eq!(types(TYPES_MAX + 1), ["too_many_types"]);
    let imports = |count: usize| {
        let import = |number| format!("(import \"a\" \"{number}\" (func))");
        module(&(0..count).map(import).collect::<String>())
    };
    assert_eq!(imports(IMPORTS_MAX), ["export_missing"]);
    assert_eq!(imports(IMPORTS_MAX + 1), ["too_many_imports"]);
    let locals = |count: usize| module(&format!("(func (local {}))", "i32 ".repeat(count)));
    assert_eq!(locals(LOCALS_MAX), ["export_missing"]);
    assert_eq!(locals(LOCALS_MAX + 1), ["too_many_locals"]);
    let branches = |count: usize| {
        // The last target is the default.
        let targets = "0 ".repeat(count + 1);
        module(&format!("(func (br_table {targets} (i32.const 0)))"))
    };
    assert_eq!(branches(BRANCHES_MAX), ["export_missing"]);
    assert_eq!(branches(BRANCHES_MAX + 1), ["too_many_branches"]);
}

#[test]
fn imports_of_a_component_end_at_their_limit() {
    let imports = |count: usize| {
        let import = |number| format!("(import \"a{number}\" (func))");
        let imports: String = (0..count).map(import).collect();
        codes(&bytes(&format!("(component (component {imports}))")))
    };
    assert_eq!(imports(IMPORTS_MAX), ["export_missing"]);
    assert_eq!(imports(IMPORTS_MAX + 1), ["too_many_imports"]);
}

#[test]
fn components_within_components_end_at_their_limit() {
    assert_eq!(codes(&nested(NESTING_MAX)), ["export_missing"]);
    assert_eq!(codes(&nested(NESTING_MAX + 1)), ["parts_too_deep"]);
    for depth in [1_000, 10_000] {
        assert_eq!(codes(&nested(depth)), ["too_many_parts", "parts_too_deep"]);
    }
}

#[test]
fn instances_of_a_component_end_at_their_limit() {
    let mut guest = Guest::new();
    let instances = |count: usize| {
        format!(
            "(component $c) {}",
            "(instance (instantiate $c))".repeat(count)
        )
    };
    // The guest itself has one.
    guest.component_fields = instances(INSTANCES_MAX - 1);
    assert_eq!(findings(&guest.bytes()), []);
    guest.component_fields = instances(INSTANCES_MAX);
    assert_eq!(finding(&guest.bytes()).code, "too_many_instances");
}

#[test]
fn ten_thousand_instances_of_one_module_are_too_many() {
    let instances = "(core instance (instantiate $m))".repeat(10_000);
    let text = format!("(component (core module $m) {instances})");
    let finding = finding(&bytes(&text));
    assert_eq!(finding.code, "too_many_instances");
    assert!(finding.message.contains("10000"), "{}", finding.message);
}

#[test]
fn instances_that_double_with_each_component_are_counted_before_instantiation() {
    let twice = |component: &str| format!("(instance (instantiate {component}))").repeat(2);
    let leaf = "(core module $m) (core instance (instantiate $m))";
    // Components nested in each other.
    let nested = |depth: usize| {
        (0..depth).fold(leaf.to_owned(), |within, _| {
            format!("(component $c {within}) {}", twice("$c"))
        })
    };
    // Components next to each other, each of which instantiates the previous one by an alias.
    let chained = |depth: usize| {
        let component = |at: usize| {
            let instances = twice(&format!("$c{at}"));
            format!("(component $c{} {instances})", at + 1)
        };
        let components: String = (0..depth - 1).map(component).collect();
        let last = twice(&format!("$c{}", depth - 1));
        format!("(component $c0 {leaf}) {components} {last}")
    };
    let text = |fields: String| codes(&bytes(&format!("(component {fields})")));
    let depth = usize::try_from(INSTANCES_MAX.ilog2()).unwrap();
    // 2 + 4 + … + 64 components are 126.
    assert_eq!(text(nested(depth - 1)), ["export_missing"]);
    assert_eq!(text(nested(depth)), ["too_many_instances"]);
    assert_eq!(text(chained(depth - 1)), ["export_missing"]);
    assert_eq!(text(chained(depth)), ["too_many_instances"]);
    assert_eq!(text(nested(15)), ["too_many_instances"; 2]);
}

#[test]
fn component_that_instantiates_what_it_imports_cannot_be_counted() {
    let fields = "(import \"c\" (component $c)) (instance (instantiate $c))";
    for text in [
        format!("(component {fields})"),
        format!("(component (component {fields}))"),
    ] {
        let finding = finding(&bytes(&text));
        assert_eq!(finding.code, "too_many_instances");
        assert!(
            finding.message.contains("imported component"),
            "{}",
            finding.message
        );
    }
}

#[test]
fn function_is_named_by_its_place_index_and_name() {
    let mut guest = Guest::new();
    let locals = "i32 ".repeat(LOCALS_MAX + 1);
    guest.fields = format!("(func $greedy (local {locals}))");
    let bytes = guest.bytes();
    let place = finding(&bytes).place.unwrap();
    assert_eq!(place.name.as_deref(), Some("greedy"));
    // `$reply`, `$decline`, `describe` and `handle` have the indices before it.
    assert_eq!(place.function, Some(4));
    let at = usize::try_from(place.byte).unwrap();
    // One run of locals: the count as LEB128 and the type i32.
    assert_eq!(bytes[at..at + 5], [1, 0xd1, 0x86, 3, 0x7f]);
}

#[test]
fn name_of_a_function_is_escaped() {
    let locals = "i32 ".repeat(LOCALS_MAX + 1);
    let fields = format!("(func $\"\\u{{202e}}\\n\" (local {locals}))");
    let text = format!("(component (core module {fields}))");
    let place = finding(&bytes(&text)).place.unwrap();
    assert_eq!(place.name.as_deref(), Some(r"\u{202e}\n"));
}

#[test]
fn many_findings_are_cut_and_counted() {
    let function = format!("(func (local {}))", "i32 ".repeat(LOCALS_MAX + 1));
    let fields = function.repeat(FINDINGS_OF_A_KIND_MAX + 4) + "(table 30000 funcref)";
    let found = findings(&bytes(&format!("(component (core module {fields}))")));
    let (last, first_findings) = found.split_last().unwrap();
    assert_eq!(last.message, "and 4 more of this kind");
    let functions: Vec<_> = { first_findings.iter() }
        .filter(|finding| finding.code == "too_many_locals")
        .map(|finding| finding.place.as_ref().unwrap().function)
        .collect();
    let first: Vec<_> = (0..u32::try_from(FINDINGS_OF_A_KIND_MAX).unwrap()).collect();
    assert_eq!(functions, first.into_iter().map(Some).collect::<Vec<_>>());
    assert_eq!(
        first_findings[0].code, "table_too_large",
        "findings of one code do not hide those of another"
    );
}

#[test]
fn strings_must_be_utf8() {
    let lift = "(canon lift (core func $main \"handle\")";
    let lower = "(canon lower (func $call \"action\")";
    let guest = Guest::doing("(call $host-call-action (i32.const 64))").wat();
    assert_eq!(codes(&bytes(&guest)), [""; 0]);
    for place in [lift, lower] {
        for encoding in ["utf16", "latin1+utf16"] {
            let text = guest.replace(place, &format!("{place} string-encoding={encoding}"));
            let finding = finding(&bytes(&text));
            assert_eq!(finding.code, "string_encoding", "{place} {encoding}");
            assert!(finding.hint.unwrap().contains("string-encoding=utf8"));
        }
        let text = guest.replace(place, &format!("{place} string-encoding=utf8"));
        assert_eq!(codes(&bytes(&text)), [""; 0]);
    }
}

#[test]
fn async_functions_are_rejected() {
    let guest = Guest::doing("(call $host-call-action (i32.const 64))").wat();
    for place in [
        "(canon lift (core func $main \"handle\")",
        "(canon lower (func $call \"action\")",
    ] {
        let text = guest.replace(place, &format!("{place} async"));
        let finding = finding(&bytes(&text));
        assert_eq!(finding.code, "async_function", "{place}");
        assert!(finding.place.is_some());
    }
}

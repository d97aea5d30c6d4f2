//! Hand-written components: a few lines of WebAssembly text become a plugin.
//!
//! A hand-written guest can do what no toolchain emits: return an invalid pointer, loop in its start function, request an
//! amount of zero. This module generates everything around those lines.
//!
//! Memory layout: the result at 16, the result of a host function at 64, texts from 1,024, and the host's allocations from
//! `HEAP`.

use std::fmt::{self, Write as _};

use super::interfaces::{ADDED_IN_0_2, INTERFACES, Interface};

/// The start of the host's allocations. Nothing is freed.
const HEAP: usize = 512 * 1024;

/// The address of the first text.
const TEXTS: usize = 1024;

/// A text in the guest's memory. As WebAssembly it is two operands: the address and the length.
#[derive(Clone, Copy)]
pub(super) struct Text {
    at: usize,
    length: usize,
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(i32.const {}) (i32.const {})", self.at, self.length)
    }
}

/// The export of the handler. Exported types need names, which takes a component around the two functions.
const EXPORT: &str = r#"
  (type $decline' (record (field "code" string) (field "message" string)))
  (func $describe (result string)
    (canon lift (core func $main "describe") (memory $base "memory")))
  (func $handle (param "arguments" string) (result (result string (error $decline')))
    (canon lift (core func $main "handle") (memory $base "memory")
      (realloc (func $base "realloc"))))
  (component $names
    (type $decline' (record (field "code" string) (field "message" string)))
    (import "decline" (type $decline (eq $decline')))
    (import "describe" (func $describe (result string)))
    (import "handle"
      (func $handle (param "arguments" string) (result (result string (error $decline)))))
    (export $named "decline" (type $decline))
    (export "describe" (func $describe))
    (export "handle" (func $handle)
      (func (param "arguments" string) (result (result string (error $named))))))
  (instance $handler (instantiate $names (with "decline" (type $decline'))
    (with "describe" (func $describe)) (with "handle" (func $handle))))
  (export "bursar:plugin/handler@CONTRACT" (instance $handler))"#;

/// The export of the configuration check, in a component of its own because exported types need names.
const EXPORT_CHECK: &str = r#"
  (type $finding' (record (field "pointer" string) (field "message" string)))
  (type $need' (record (field "account" string) (field "asset" string) (field "at-least" u64)))
  (type $report' (record (field "findings" (list $finding')) (field "needs" (list $need'))))
  (func $check (param "plugin" string) (param "configuration" string) (result $report')
    (canon lift (core func $main "check") (memory $base "memory")
      (realloc (func $base "realloc"))))
  (component $check-names
    (type $finding' (record (field "pointer" string) (field "message" string)))
    (import "finding" (type $finding (eq $finding')))
    (type $need' (record (field "account" string) (field "asset" string) (field "at-least" u64)))
    (import "need" (type $need (eq $need')))
    (type $report' (record (field "findings" (list $finding)) (field "needs" (list $need))))
    (import "report" (type $report (eq $report')))
    (import "check" (func $check (param "plugin" string) (param "configuration" string)
      (result $report)))
    (export $a-finding "finding" (type $finding))
    (export $a-need "need" (type $need))
    (type $report-of-those (record (field "findings" (list $a-finding))
      (field "needs" (list $a-need))))
    (export $a-report "report" (type $report-of-those))
    (export "check" (func $check)
      (func (param "plugin" string) (param "configuration" string) (result $a-report))))
  (instance $configuration (instantiate $check-names (with "finding" (type $finding'))
    (with "need" (type $need')) (with "report" (type $report')) (with "check" (func $check))))
  (export "bursar:plugin/configuration@CONTRACT" (instance $configuration))"#;

/// A bump allocator with an alignment of 8.
const REALLOC: &str = "
      (global.set $top (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
      (global.get $top)
      (global.set $top (i32.add (global.get $top) (local.get 3)))";

/// A manifest without permissions whose schemas accept everything.
pub(super) const MANIFEST: &str = r#"{"id":"tester","version":"1.0.0","description":"A guest.",
"license":"MIT","accounts":["till"],"actions":[{"name":"act","description":"Acts.",
"arguments":{},"reply":{}}],"configuration":{},"permissions":{}}"#;

/// A builder of a plugin.
#[derive(Clone)]
pub(super) struct Guest {
    /// The result of `describe`.
    pub(super) manifest: String,
    /// Statements of `describe` before its result.
    pub(super) describe: String,
    /// The body of `handle`: an `i32` expression, the address of its result.
    pub(super) handle: String,
    /// The body of `check`, if it is exported: an `i32` expression, the address of its report.
    pub(super) check: Option<String>,
    /// The version of the contract.
    pub(super) contract: &'static str,
    /// Further fields of the core module.
    pub(super) fields: String,
    /// Further fields of the component, before all others.
    pub(super) component_fields: String,
    /// The size of the memory, in pages of 64 KiB.
    pub(super) memory: String,
    /// The body of `realloc`: an `i32` expression, the address of the allocation.
    pub(super) realloc: String,
    texts: Vec<u8>,
}

impl Guest {
    /// Creates a plugin that always replies `{}`.
    pub(super) fn new() -> Self {
        let mut guest = Self {
            manifest: MANIFEST.into(),
            describe: String::new(),
            handle: String::new(),
            check: None,
            contract: "0.2.0",
            fields: String::new(),
            component_fields: String::new(),
            memory: "16".into(),
            realloc: REALLOC.into(),
            texts: Vec::new(),
        };
        guest.does("");
        guest
    }

    /// Creates a plugin whose `handle` runs these statements and replies `{}`.
    pub(super) fn doing(statements: &str) -> Self {
        let mut guest = Self::new();
        guest.does(statements);
        guest
    }

    /// Places a text in memory.
    pub(super) fn text(&mut self, text: impl AsRef<[u8]>) -> Text {
        let text = text.as_ref();
        let at = TEXTS + self.texts.len();
        self.texts.extend_from_slice(text);
        assert!(at + text.len() <= HEAP, "the texts fit below the heap");
        Text {
            at,
            length: text.len(),
        }
    }

    /// Sets `handle` to these statements and the reply `{}`.
    pub(super) fn does(&mut self, statements: &str) {
        let nothing = self.text("{}");
        self.handle = format!("{statements} (call $reply {nothing})");
    }

    /// Sets the reply of `handle`.
    pub(super) fn replies(&mut self, reply: impl AsRef<[u8]>) {
        let reply = self.text(reply);
        self.handle = format!("(call $reply {reply})");
    }

    /// Lets `handle` decline.
    pub(super) fn declines(&mut self, code: &str, message: &str) {
        let code = self.text(code);
        let message = self.text(message);
        self.handle = format!("(call $decline {code} {message})");
    }

    /// Lets `check` report a number of equal findings and of equal needs.
    pub(super) fn reports(&mut self, findings: (usize, [&str; 2]), needs: (usize, [&str; 2], u64)) {
        let (count, texts) = findings;
        let finding_texts = texts.map(|text| self.text(text));
        let finding = record(&finding_texts, None);
        self.align();
        let all_findings = self.text(finding.repeat(count));
        let (need_count, texts, at_least) = needs;
        let need_texts = texts.map(|text| self.text(text));
        self.align();
        let need = record(&need_texts, Some(at_least));
        let all_needs = self.text(need.repeat(need_count));
        let report = [(all_findings.at, count), (all_needs.at, need_count)];
        let stores = report.into_iter().zip([16, 24]).map(|((list, count), at)| {
            format!(
                "(i32.store (i32.const {at}) (i32.const {list}))
                 (i32.store (i32.const {}) (i32.const {count}))",
                at + 4
            )
        });
        let stores: String = stores.collect();
        self.check = Some(format!("{stores} (i32.const 16)"));
    }

    /// Aligns the next text for a list.
    fn align(&mut self) {
        self.texts.resize(self.texts.len().next_multiple_of(8), 0);
    }

    /// Returns the component as text. It imports the interfaces that its code calls.
    pub(super) fn wat(&self) -> String {
        let check = self.check.clone().unwrap_or_default();
        let code = [&self.describe, &self.handle, &check, &self.fields];
        let imported = |interface: &&Interface| {
            let call = format!("$host-{}-", interface.name);
            code.iter().any(|code| code.contains(&call))
        };
        let (mut imports, mut lowered, mut exported, mut core_imports) =
            <(String, _, _, _)>::default();
        for interface in INTERFACES.iter().filter(imported) {
            import(
                interface,
                self.contract,
                &mut imports,
                [&mut lowered, &mut exported, &mut core_imports],
            );
        }
        let Self {
            component_fields,
            memory,
            realloc,
            ..
        } = self;
        let main = self.main(&core_imports);
        let checks = self.check.is_some();
        let exports = format!("{EXPORT}{}", if checks { EXPORT_CHECK } else { "" });
        let exports = exports.replace("@CONTRACT", &format!("@{}", self.contract));
        format!(
            "(component {component_fields} {imports}
  (core module $base-module (memory (export \"memory\") {memory})
    (global $top (mut i32) (i32.const {HEAP}))
    (func (export \"realloc\") (param i32 i32 i32 i32) (result i32) {realloc}))
  (core instance $base (instantiate $base-module))
  {lowered}
  {main}
  (core instance $main (instantiate $main-module (with \"base\" (instance $base))
    (with \"host\" (instance {exported}))))
  {exports})"
        )
    }

    fn main(&self, core_imports: &str) -> String {
        let Self {
            manifest,
            describe,
            handle,
            check,
            fields,
            texts,
            ..
        } = self;
        let check = check.as_ref().map(|check| {
            format!(
                "(func (export \"check\") (param $plugin i32) (param $plugin-length i32)
      (param $config i32) (param $config-length i32) (result i32) (local $i i32) {check})"
            )
        });
        let check = check.unwrap_or_default();
        let manifest_at = TEXTS + texts.len();
        assert!(
            manifest_at + manifest.len() <= HEAP,
            "the manifest fits below the heap"
        );
        let manifest_length = manifest.len();
        let mut data = String::new();
        for byte in texts.iter().chain(manifest.as_bytes()) {
            write!(data, "\\{byte:02x}").unwrap();
        }
        format!(
            "(core module $main-module
    (import \"base\" \"memory\" (memory 0))
    {core_imports}
    (func $reply (param $text i32) (param $length i32) (result i32)
      (i32.store8 (i32.const 16) (i32.const 0))
      (i32.store (i32.const 20) (local.get $text))
      (i32.store (i32.const 24) (local.get $length))
      (i32.const 16))
    (func $decline (param i32 i32 i32 i32) (result i32)
      (i32.store8 (i32.const 16) (i32.const 1))
      (i32.store (i32.const 20) (local.get 0))
      (i32.store (i32.const 24) (local.get 1))
      (i32.store (i32.const 28) (local.get 2))
      (i32.store (i32.const 32) (local.get 3))
      (i32.const 16))
    (func (export \"describe\") (result i32)
      {describe}
      (i32.store (i32.const 16) (i32.const {manifest_at}))
      (i32.store (i32.const 20) (i32.const {manifest_length}))
      (i32.const 16))
    (func (export \"handle\") (param $arguments i32) (param $length i32) (result i32)
      (local $i i32)
      {handle})
    {check}
    {fields}
    (data (i32.const {TEXTS}) \"{data}\"))"
        )
    }

    /// Returns the component as bytes.
    pub(super) fn bytes(&self) -> Vec<u8> {
        bytes(&self.wat())
    }
}

/// Returns the memory layout of a record of texts and an optional number.
fn record(texts: &[Text], number: Option<u64>) -> Vec<u8> {
    let words = texts.iter().flat_map(|text| [text.at, text.length]);
    let mut bytes: Vec<u8> = words
        .flat_map(|word| u32::try_from(word).unwrap().to_le_bytes())
        .collect();
    bytes.extend(number.into_iter().flat_map(u64::to_le_bytes));
    bytes
}

/// Declares an interface to the component, lowers its functions, and passes them to the core module.
fn import(interface: &Interface, contract: &str, imports: &mut String, core: [&mut String; 3]) {
    let Interface {
        name,
        types,
        functions,
    } = interface;
    let [lowered, exported, core_imports] = core;
    write!(
        imports,
        "\n  (import \"bursar:plugin/{name}@{contract}\" (instance ${name} {types}"
    )
    .unwrap();
    let offered = |function: &&(&str, &str, &str)| {
        contract != "0.1.0" || !ADDED_IN_0_2.contains(&(name, function.0))
    };
    for (function, outer, inner) in functions.iter().filter(offered) {
        let full = format!("host-{name}-{function}");
        write!(imports, "\n    (export \"{function}\" (func {outer}))").unwrap();
        write!(
            lowered,
            "\n  (core func ${full} (canon lower (func ${name} \"{function}\")
      (memory $base \"memory\") (realloc (func $base \"realloc\"))))"
        )
        .unwrap();
        write!(exported, " (export \"{full}\" (func ${full}))").unwrap();
        write!(
            core_imports,
            "\n    (import \"host\" \"{full}\" (func ${full} {inner}))"
        )
        .unwrap();
    }
    imports.push_str("))");
}

/// Parses a component from text.
pub(super) fn bytes(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Repeats statements, with `$i` counted up from 0.
pub(super) fn times(count: usize, statements: &str) -> String {
    format!(
        "(local.set $i (i32.const 0))
      (loop $again {statements}
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $i) (i32.const {count}))))"
    )
}

/// Encodes a component with one core module whose functions have bodies of these sizes. As text, millions of instructions
/// would be slow to parse.
pub(super) fn functions_of(sizes: &[usize]) -> Vec<u8> {
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    // One type: a function without parameters and results.
    section(&mut module, 1, &[1, 0x60, 0, 0]);
    let mut types = number(sizes.len());
    types.resize(types.len() + sizes.len(), 0);
    section(&mut module, 3, &types);
    let mut code = number(sizes.len());
    for size in sizes {
        code.extend(number(*size));
        // No locals, as many `nop` as fit, and the end.
        code.push(0);
        code.resize(code.len() + size - 2, 0x01);
        code.push(0x0b);
    }
    section(&mut module, 10, &code);
    component_of(1, &module)
}

/// Returns components nested to a depth, without other content.
pub(super) fn nested(depth: usize) -> Vec<u8> {
    let empty = b"\0asm\x0d\0\x01\0".to_vec();
    (0..depth).fold(empty, |within, _| component_of(4, &within))
}

/// Encodes a component with one section.
fn component_of(id: u8, content: &[u8]) -> Vec<u8> {
    let mut component = b"\0asm\x0d\0\x01\0".to_vec();
    section(&mut component, id, content);
    component
}

fn section(to: &mut Vec<u8>, id: u8, content: &[u8]) {
    to.push(id);
    to.extend(number(content.len()));
    to.extend_from_slice(content);
}

/// Encodes a number as LEB128.
fn number(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).unwrap();
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

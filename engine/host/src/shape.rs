//! The shape of an upload: what can be said of it before anything compiles it.

use wasmparser::{
    BinaryReaderError, FunctionBody, Operator, Parser, Payload, Validator, WasmFeatures,
};
use wit_parser::decoding::{DecodedWasm, decode};
use wit_parser::{WorldItem, WorldKey};

use crate::limits::{
    BLOCKS_NESTED_MAX, BODY_BYTES_MAX, CODE_BYTES_MAX, FUNCTIONS_MAX, PARTS_MAX, TYPES_BYTES_MAX,
    UPLOAD_BYTES_MAX,
};
use crate::report::{Finding, Report};

/// What a plugin may import.
pub(crate) const IMPORTS: [&str; 6] = ["types", "ledger", "state", "fair", "call", "log"];

/// The package that imports and exports are of.
pub(crate) const PACKAGE: &str = "bursar:plugin";

/// Its version.
pub(crate) const VERSION: &str = "0.1.0";

const HOW_TO_BUILD: &str =
    "build it as a component: for Rust, target wasm32-unknown-unknown with wasm-component-ld";

/// Size and layer.
pub(crate) fn check_layer(bytes: &[u8]) -> Result<(), Report> {
    if bytes.len() > UPLOAD_BYTES_MAX {
        let message = format!("{} bytes, of at most {UPLOAD_BYTES_MAX}", bytes.len());
        return Err(Finding::new("too_large", message).into());
    }
    if Parser::is_component(bytes) {
        return Ok(());
    }
    let finding = if Parser::is_core_wasm(bytes) {
        Finding::new("core_module", "this is a core module, not a component").hint(HOW_TO_BUILD)
    } else if bytes.starts_with(b"\x7fELF") {
        Finding::new("precompiled", "this is compiled code")
            .hint("upload the component itself; compiled code is never accepted")
    } else if bytes.starts_with(b"(") {
        Finding::new("text_format", "this is WebAssembly text").hint(HOW_TO_BUILD)
    } else {
        Finding::new("not_wasm", "this is not WebAssembly").hint(HOW_TO_BUILD)
    };
    Err(finding.into())
}

/// Validity, with the features that the engine has.
pub(crate) fn check_validity(bytes: &[u8]) -> Result<(), Report> {
    let mut features = WasmFeatures::default();
    let absent = WasmFeatures::MEMORY64
        | WasmFeatures::THREADS
        | WasmFeatures::RELAXED_SIMD
        | WasmFeatures::TAIL_CALL
        | WasmFeatures::WIDE_ARITHMETIC
        | WasmFeatures::CUSTOM_PAGE_SIZES
        | WasmFeatures::GC
        | WasmFeatures::GC_TYPES
        | WasmFeatures::EXCEPTIONS
        | WasmFeatures::CM_ASYNC;
    features.remove(absent);
    match Validator::new_with_features(features).validate_all(bytes) {
        Ok(_) => Ok(()),
        Err(error) => Err(invalid(&error).into()),
    }
}

fn invalid(error: &BinaryReaderError) -> Finding {
    let message = format!("at byte {:#x}: {}", error.offset(), error.message());
    let hint = "it uses a feature that is off here, or it is damaged";
    Finding::new("invalid", message).hint(hint)
}

/// Sections in which types stand within types, before anything reads them.
pub(crate) fn check_types(bytes: &[u8]) -> Result<(), Report> {
    for payload in Parser::new(0).parse_all(bytes) {
        let size = match payload {
            Ok(Payload::ComponentTypeSection(types)) => types.range().len(),
            Ok(Payload::CoreTypeSection(types)) => types.range().len(),
            Ok(_) => 0,
            Err(error) => return Err(invalid(&error).into()),
        };
        if size > TYPES_BYTES_MAX {
            let message =
                format!("bytes in a section of types: {size}, of at most {TYPES_BYTES_MAX}");
            return Err(Finding::new("types_too_large", message).into());
        }
    }
    Ok(())
}

/// How deep blocks stand within blocks in a function.
fn nesting(body: &FunctionBody<'_>) -> Result<usize, BinaryReaderError> {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut operators = body.get_operators_reader()?;
    while !operators.eof() {
        match operators.read()? {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            // The last one closes the function itself.
            Operator::End => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(deepest)
}

/// Sizes that make compiling slow, counted before compiling.
pub(crate) fn check_sizes(bytes: &[u8]) -> Result<(), Report> {
    let (mut functions, mut code, mut largest, mut parts) = (0_usize, 0_usize, 0_usize, 0_usize);
    let mut deepest = 0;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload {
            Ok(Payload::CodeSectionEntry(body)) => {
                let size = body.range().len();
                functions += 1;
                code += size;
                largest = largest.max(size);
                deepest = deepest.max(nesting(&body).map_err(|error| invalid(&error))?);
            }
            Ok(Payload::ModuleSection { .. } | Payload::ComponentSection { .. }) => parts += 1,
            Ok(_) => {}
            Err(error) => return Err(invalid(&error).into()),
        }
    }
    let over = |code, what: &str, is: usize, most: usize| {
        (is > most).then(|| Finding::new(code, format!("{what}: {is}, of at most {most}")))
    };
    let findings = [
        over("too_many_functions", "functions", functions, FUNCTIONS_MAX),
        over("too_much_code", "bytes of code", code, CODE_BYTES_MAX),
        over(
            "function_too_large",
            "bytes in the largest function",
            largest,
            BODY_BYTES_MAX,
        ),
        over(
            "function_too_deep",
            "blocks within blocks in a function",
            deepest,
            BLOCKS_NESTED_MAX,
        ),
        over(
            "too_many_parts",
            "nested modules and components",
            parts,
            PARTS_MAX,
        ),
    ];
    Report::unless_empty(findings.into_iter().flatten().collect())
}

/// Imports against what there is, and the one export that must be there.
pub(crate) fn check_contract(bytes: &[u8]) -> Result<(), Report> {
    let decoded = decode(bytes).map_err(|error| Finding::new("invalid", format!("{error:#}")))?;
    let DecodedWasm::Component(resolve, world) = decoded else {
        return Err(Finding::new("wit_package", "this is a WIT package, not a component").into());
    };
    let world = resolve.worlds.get(world);
    let world =
        world.ok_or_else(|| Finding::new("invalid", "the component has no world of its own"))?;
    let name = |key: &WorldKey| resolve.name_world_key(key);
    let imports = world.imports.iter();
    // A type that is used in the world shows up as an import; the interface that it is of does too.
    let interfaces = imports.filter(|(_, item)| !matches!(item, WorldItem::Type { .. }));
    let mut findings: Vec<Finding> = interfaces
        .filter_map(|(key, _)| check_import(&name(key)))
        .collect();
    let handler = format!("{PACKAGE}/handler@{VERSION}");
    if !world.exports.keys().any(|key| name(key) == handler) {
        findings.push(
            Finding::new("export_missing", format!("it does not export `{handler}`"))
                .hint("export the world `plugin` of the package in wit/"),
        );
    }
    Report::unless_empty(findings)
}

fn check_import(name: &str) -> Option<Finding> {
    let offered = IMPORTS.map(|interface| format!("{PACKAGE}/{interface}@{VERSION}"));
    if offered.iter().any(|offer| offer == name) {
        return None;
    }
    let finding = Finding::new("import_not_allowed", format!("it imports `{name}`"));
    let hint = if name.starts_with("wasi:") {
        format!("there is no WASI here: {HOW_TO_BUILD}; for JavaScript and Python, --stub-wasi")
    } else if name.starts_with(PACKAGE) {
        format!("this server offers {}", offered.join(", "))
    } else {
        format!("a plugin imports nothing but {}", offered.join(", "))
    };
    Some(finding.hint(hint))
}

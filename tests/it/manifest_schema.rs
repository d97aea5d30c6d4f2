//! The published JSON Schema of manifests.

use std::path::Path;
use std::process::Command;

use bursar_host::{Compiler, Limits, Manifest, PluginHost};
use bursar_ledger::Digest;
use bursar_server::bundled;
use serde_json::Value;

use crate::server_process::binary;

#[test]
fn the_manifest_schema_is_published_and_printed_as_generated() {
    let generated = serde_json::to_string_pretty(&Manifest::schema()).unwrap() + "\n";
    let command = Command::new(binary()).args(["plugin", "schema"]).output();
    let printed = String::from_utf8(command.unwrap().stdout).unwrap();
    assert_eq!(printed, generated);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/manifest.schema.json");
    let published = std::fs::read_to_string(file).unwrap_or_default();
    assert!(
        published == generated,
        "the manifest schema has changed: run `bursar plugin schema > \
         docs/manifest.schema.json` and review the difference"
    );
}

#[test]
fn all_manifests_match_the_published_schema() {
    let host = PluginHost::new(Limits::standard(), Compiler::InProcess, None).unwrap();
    let schema = jsonschema::draft202012::new(&Manifest::schema()).unwrap();
    let earlier_contracts: [&[u8]; 4] = [
        include_bytes!("../compat/0.1.0-first/shop.wasm"),
        include_bytes!("../compat/0.1.0-first/coinflip.wasm"),
        include_bytes!("../compat/0.2.0-first/shop.wasm"),
        include_bytes!("../compat/0.2.0-first/coinflip.wasm"),
    ];
    let bundled = bundled::PLUGINS.iter().map(|plugin| plugin.bytes);
    for bytes in bundled.chain(earlier_contracts) {
        let plugin = host.load(Digest::of(bytes), bytes).unwrap();
        let manifest: Value = serde_json::to_value(plugin.manifest()).unwrap();
        let errors: Vec<String> = schema
            .iter_errors(&manifest)
            .map(|error| error.to_string())
            .collect();
        assert_eq!(errors, [""; 0], "{}", manifest["id"]);
    }
}

//! Revisions of plugins in the log, and configurations that are restored.

use bursar_ledger::{Document, PluginName, PluginPatch, RollbackTarget};
use serde_json::Value;

use super::*;

fn shop() -> PluginName {
    name("shop")
}

fn installed(config: Value) -> Act {
    let choice = component(b"a shop", "shop");
    Act::SetPlugin {
        plugin: shop(),
        patch: Box::new(PluginPatch {
            component: Some(choice),
            config: Some(Document::from(config)),
            ..PluginPatch::default()
        }),
    }
}

fn back_to(to: u64, config: Value) -> Act {
    Act::RollBackPlugin {
        plugin: shop(),
        what: RollbackTarget::Configuration {
            to: Some(to),
            patch: Box::new(PluginPatch {
                config: Some(Document::from(config)),
                ..PluginPatch::default()
            }),
        },
    }
}

/// Returns a file with a shop that has had two configurations, and the number of the record of the first.
fn with_two_configurations() -> (tempfile::TempDir, PathBuf, Storage, u64) {
    let (folder, path, storage) = open_guild();
    answered(ask(&storage, None, installed(json!({ "price": 1 }))));
    let state = storage.state();
    let first = state.books(&guild()).expect("the economy").seq();
    answered(ask(&storage, None, installed(json!({ "price": 2 }))));
    (folder, path, storage, first)
}

#[test]
fn a_revision_is_read_with_the_installation_that_it_has_made() {
    let (_folder, _path, storage, first) = with_two_configurations();
    let read = |seq| {
        storage
            .revision(&guild(), &shop(), seq)
            .expect("it is read")
    };
    let found = read(first).expect("the record is there");
    assert_eq!((found.seq, found.actor.as_str()), (first, "test"));
    let installation = found.installation.expect("it says how");
    assert_eq!(installation.config.as_str(), r#"{"price":1}"#);
    let other = read(1).expect("the record is there");
    assert!(other.installation.is_none(), "it is about something else");
    assert!(read(first + 100).is_none());
    let of_other = storage.revision(&guild(), &name("bank"), first);
    let of_other = of_other.expect("it is read").expect("the record is there");
    assert!(of_other.installation.is_none());
}

#[test]
fn a_configuration_that_comes_back_is_the_one_of_its_revision() {
    for (config, promises) in [
        (json!({ "price": 1 }), vec![]),
        (json!({ "price": 9 }), vec![6]),
    ] {
        let (_folder, path, storage, first) = with_two_configurations();
        answered(ask(&storage, None, back_to(first, config.clone())));
        storage.close();
        drop(storage);
        assert_eq!(broken(&path), promises, "{config}");
    }
}

//! Names of types. Each name stands for one type in all crates.

use std::collections::BTreeMap;

use syn::Item;

use super::{ratchet, source};

/// Names that stand for more than one type, each with the reason.
const ALLOWED: [(&str, &str); 8] = [
    ("Amount", SDK),
    (
        "Config",
        "each plugin has a configuration of its own, and never sees that of another",
    ),
    ("HoldRule", SDK),
    ("Manifest", SDK),
    ("Odds", SDK),
    ("OnExpiry", SDK),
    ("Permissions", SDK),
    ("Stake", SDK),
];

/// The reason that a name of the engine is one of the SDK as well.
const SDK: &str =
    "the guest has its own type for the thing, because the SDK links nothing of the engine";

/// Adds the names of the types in a list of items and in its inner modules.
fn types(items: &[Item], found: &mut Vec<String>) {
    for item in items {
        let name = match item {
            Item::Struct(item) => &item.ident,
            Item::Enum(item) => &item.ident,
            Item::Union(item) => &item.ident,
            Item::Trait(item) => &item.ident,
            Item::Type(item) => &item.ident,
            Item::Mod(module) => {
                if let Some((_, items)) = &module.content {
                    types(items, found);
                }
                continue;
            }
            _ => continue,
        };
        found.push(name.to_string());
    }
}

fn types_of(text: &str) -> Vec<String> {
    let stream = source::without_tests(text.parse().unwrap());
    let file: syn::File = syn::parse2(stream).unwrap();
    let mut found = Vec::new();
    types(&file.items, &mut found);
    found
}

/// Returns the names that are defined more than once, with the files that define them.
fn twice<'a>(
    definitions: impl Iterator<Item = (&'a str, String)>,
) -> BTreeMap<String, Vec<&'a str>> {
    let mut places: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (file, name) in definitions {
        places.entry(name).or_default().push(file);
    }
    places.retain(|_, files| files.len() > 1);
    places
}

/// Returns true for files that are compiled for tests only.
fn is_test(path: &str) -> bool {
    path.starts_with("tests/")
        || path.contains("/tests/")
        || path.contains("/benches/")
        || path.ends_with("/tests.rs")
}

#[test]
fn one_name_stands_for_one_type() {
    let definitions = source::RUST
        .iter()
        .filter(|source| !is_test(&source.path))
        .flat_map(|source| {
            let names = types_of(&source.text);
            names.into_iter().map(|name| (source.path.as_str(), name))
        });
    let mut found = twice(definitions);
    for (name, _) in ALLOWED {
        assert!(found.remove(name).is_some(), "{name} stands for one type");
    }
    for (name, files) in &found {
        println!("{name}: {}", files.join(", "));
    }
    let figures = found.into_iter().map(|(name, files)| (name, files.len()));
    ratchet::check("names", &figures.collect());
}

#[test]
fn types_of_one_name_are_found() {
    let one = "struct Act; mod inner { enum Act { One } pub type Alias = u8; } fn Free() {}";
    let other = "#[cfg(test)] struct Alias; trait Alias {} impl Act for u8 { type Error = u8; }";
    assert_eq!(types_of(one), ["Act", "Act", "Alias"]);
    assert_eq!(types_of(other), ["Alias"]);
    let mut definitions = Vec::new();
    for (file, text) in [("one.rs", one), ("other.rs", other)] {
        definitions.extend(types_of(text).into_iter().map(|name| (file, name)));
    }
    let twice = twice(definitions.into_iter());
    assert_eq!(twice["Act"], ["one.rs", "one.rs"]);
    assert_eq!(twice["Alias"], ["one.rs", "other.rs"]);
    assert_eq!(twice.len(), 2);
}

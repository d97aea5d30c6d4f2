//! Imports and exports, held against the contract in `wit/`: every function by its name and its type.
//!
//! wasmtime's linker would refuse the same, one thing at a time and in its own words.
//!
//! Each version of the contract is offered whole: a component speaks the version of the handler that it
//! exports, and all that it imports is of that version.

use std::fmt;
use std::panic::catch_unwind;
use std::sync::LazyLock;

use wit_parser::decoding::{DecodedWasm, decode};
use wit_parser::{
    Function, Interface, InterfaceId, PackageId, Resolve, World, WorldId, WorldItem, WorldKey,
};

use super::layer::HOW_TO_BUILD;
use super::signature::{same, signatures};
use crate::report::{Finding, Findings, Report};
use crate::text::excerpt;

/// A version of the contract that plugins may speak.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ContractVersion {
    /// 0.1.0: a plugin spells its own id, and cannot check its configuration.
    First,
    /// 0.2.0.
    Present,
}

impl fmt::Display for ContractVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::First => "0.1.0",
            Self::Present => "0.2.0",
        })
    }
}

/// A contract that this server offers: what a plugin may import, and what it is to export.
struct Contract {
    version: ContractVersion,
    resolve: Resolve,
    package: PackageId,
    /// The interfaces that a plugin may import, by their full names.
    offered: Vec<(String, InterfaceId)>,
}

/// The present contract, and those before it.
static CONTRACTS: LazyLock<[Contract; 2]> = LazyLock::new(|| {
    let present = include_str!("../../../../wit/plugin.wit");
    let first = include_str!("../../../../wit/0.1.0/plugin.wit");
    [
        Contract::of(ContractVersion::Present, present),
        Contract::of(ContractVersion::First, first),
    ]
});

impl Contract {
    fn of(version: ContractVersion, text: &str) -> Self {
        let mut resolve = Resolve::new();
        let package = resolve.push_source("plugin.wit", text);
        let package = package.expect("the generator of the bindings has read the same text");
        let world = resolve.packages[package].worlds["plugin"];
        let imports = interfaces(&resolve, &resolve.worlds[world].imports);
        Self {
            version,
            offered: imports.collect(),
            package,
            resolve,
        }
    }

    /// The contract whose handler is exported; the present one if none is.
    fn of_exports(exports: &[(String, InterfaceId)]) -> &'static Self {
        let [present, ..] = &*CONTRACTS;
        let spoken = |contract: &&Self| {
            let (handler, _) = contract.interface("handler");
            exports.iter().any(|(export, _)| *export == handler)
        };
        CONTRACTS.iter().find(spoken).unwrap_or(present)
    }

    /// An interface of the package, with its full name.
    fn interface(&self, name: &str) -> (String, InterfaceId) {
        let full = self.resolve.id_of_name(self.package, name);
        let interface = self.resolve.packages[self.package].interfaces[name];
        (full, interface)
    }

    /// Whether a name is of this package, whatever its version.
    fn is_ours(&self, name: &str) -> bool {
        let package = &self.resolve.packages[self.package].name;
        let ours = format!("{}:{}/", package.namespace, package.name);
        name.starts_with(&ours)
    }
}

/// The interfaces among what a world imports or exports, with their full names.
fn interfaces<'a>(
    resolve: &'a Resolve,
    items: impl IntoIterator<Item = (&'a WorldKey, &'a WorldItem)> + 'a,
) -> impl Iterator<Item = (String, InterfaceId)> + 'a {
    items.into_iter().filter_map(|(key, item)| match item {
        WorldItem::Interface { id, .. } => Some((resolve.name_world_key(key), *id)),
        WorldItem::Function(_) | WorldItem::Type { .. } => None,
    })
}

/// Imports against what there is, and exports against what must be there.
pub(crate) fn check_contract(bytes: &[u8]) -> Result<ContractVersion, Report> {
    let DecodedWasm::Component(resolve, world) = read(bytes)? else {
        return Err(Finding::new("wit_package", "this is a WIT package, not a component").into());
    };
    let mut findings = Findings::default();
    let component = Component::new(&resolve, world)?;
    component.check_imports(&mut findings);
    component.check_exports(&mut findings);
    findings.report()?;
    Ok(component.contract.version)
}

/// The decoder is made for what toolchains write: at some valid components it panics, which is their
/// own misfortune.
fn read(bytes: &[u8]) -> Result<DecodedWasm, Report> {
    let invalid = |why: String| Report::from(Finding::new("invalid", why));
    match catch_unwind(|| decode(bytes)) {
        Ok(decoded) => decoded.map_err(|error| invalid(format!("{error:#}"))),
        Err(_) => Err(invalid(
            "what it imports and exports cannot be written as WIT".into(),
        )),
    }
}

/// What a component imports and exports.
struct Component<'a> {
    resolve: &'a Resolve,
    world: &'a World,
    exports: Vec<(String, InterfaceId)>,
    /// The contract that it speaks.
    contract: &'static Contract,
}

impl<'a> Component<'a> {
    fn new(resolve: &'a Resolve, world: WorldId) -> Result<Self, Report> {
        let world = resolve.worlds.get(world);
        let no_world = || Finding::new("invalid", "the component has no world of its own");
        let world = world.ok_or_else(no_world)?;
        let exports: Vec<_> = interfaces(resolve, &world.exports).collect();
        Ok(Self {
            resolve,
            world,
            contract: Contract::of_exports(&exports),
            exports,
        })
    }

    fn check_imports(&self, findings: &mut Findings) {
        let offered = &self.contract.offered;
        for (key, item) in &self.world.imports {
            let name = self.resolve.name_world_key(key);
            let known = offered.iter().find(|(offer, _)| *offer == name);
            match (item, known) {
                // A type that is used in the world shows up as an import; the interface that it is of
                // does too.
                (WorldItem::Type { .. }, _) => {}
                (WorldItem::Interface { id, .. }, Some((_, offer))) => {
                    self.check_import(&name, *offer, *id, findings);
                }
                (WorldItem::Interface { .. } | WorldItem::Function(_), _) => {
                    findings.add(self.stranger(&name));
                }
            }
        }
    }

    /// An import that is not offered at all.
    fn stranger(&self, name: &str) -> Finding {
        let imports = format!("it imports `{}`", excerpt(name));
        let offered = &self.contract.offered;
        let names = || offered.iter().map(|(offer, _)| offer.as_str());
        let list = names().collect::<Vec<_>>().join(", ");
        let same_but_version =
            names().find(|offer| without_version(offer) == without_version(name));
        if let Some(offer) = same_but_version {
            let (asked, have) = (excerpt(version(name)), version(offer));
            let offered_too = CONTRACTS
                .iter()
                .any(|contract| contract.offered.iter().any(|(offer, _)| offer == name));
            let message = if offered_too {
                format!("{imports}, and beside its handler it may import version {have} of that")
            } else {
                format!("{imports}, and this server offers version {have} of that")
            };
            return Finding::new("import_not_allowed", message)
                .hint(format!("build it against {have}; offered are {list}"))
                .instead(have, asked);
        }
        let hint = if name.starts_with("wasi:") {
            format!("there is no WASI here: {HOW_TO_BUILD}; for JavaScript and Python, --stub-wasi")
        } else if self.contract.is_ours(name) {
            format!("this server offers {list}")
        } else {
            format!("a plugin imports nothing but {list}")
        };
        Finding::new("import_not_allowed", imports)
            .hint(hint)
            .nearest(name, names())
    }

    /// An interface that is offered: what the component imports of it must be there, and be the same.
    fn check_import(
        &self,
        name: &str,
        offer: InterfaceId,
        import: InterfaceId,
        findings: &mut Findings,
    ) {
        let offer = &self.contract.resolve.interfaces[offer];
        for (function, imported) in &self.resolve.interfaces[import].functions {
            match offer.functions.get(function) {
                Some(offered) => {
                    findings.extend(self.differs("imports", name, offered, imported));
                }
                None => findings.add(unknown_function(name, function, offer)),
            }
        }
    }

    fn check_exports(&self, findings: &mut Findings) {
        let export = |name: &str| self.exports.iter().find(|(export, _)| export == name);
        let (handler, expected) = self.contract.interface("handler");
        match export(&handler) {
            Some((_, found)) => self.check_export(&handler, expected, *found, findings),
            None => findings.add(no_handler(&handler, &self.exports)),
        }
        let optional: &[&str] = match self.contract.version {
            ContractVersion::First => &["schedule"],
            ContractVersion::Present => &["schedule", "configuration"],
        };
        for name in optional {
            let (name, expected) = self.contract.interface(name);
            if let Some((_, found)) = export(&name) {
                self.check_export(&name, expected, *found, findings);
            }
        }
    }

    /// An interface that is exported: all that the contract has of it must be there, and be the same.
    fn check_export(
        &self,
        name: &str,
        expected: InterfaceId,
        export: InterfaceId,
        findings: &mut Findings,
    ) {
        let exported = &self.resolve.interfaces[export].functions;
        for (function, expected) in &self.contract.resolve.interfaces[expected].functions {
            if let Some(found) = exported.get(function) {
                findings.extend(self.differs("exports", name, expected, found));
            } else {
                let message = format!("it exports `{name}` without the function `{function}`");
                let hint = "export all of the interface, as it is in wit/";
                let names = exported.keys().map(String::as_str);
                let finding = Finding::new("export_missing", message);
                findings.add(finding.hint(hint).nearest(function, names));
            }
        }
    }

    /// A function whose type is not the contract's.
    fn differs(
        &self,
        does: &str,
        interface: &str,
        expected: &Function,
        found: &Function,
    ) -> Option<Finding> {
        let sides = [(&self.contract.resolve, expected), (self.resolve, found)];
        if same(sides) {
            return None;
        }
        let [expected, found] = signatures(sides);
        let name = &sides[0].1.name;
        let message = format!("it {does} `{name}` of `{interface}` with another type");
        let hint = "generate the bindings anew from the package in wit/";
        Some(
            Finding::new("function_differs", message)
                .hint(hint)
                .instead(expected, found),
        )
    }
}

fn no_handler(handler: &str, exports: &[(String, InterfaceId)]) -> Finding {
    let finding = Finding::new("export_missing", format!("it does not export `{handler}`"))
        .hint("export the world `plugin` of the package in wit/");
    let names = || exports.iter().map(|(export, _)| export.as_str());
    match names().find(|export| without_version(export) == without_version(handler)) {
        Some(other) => finding.instead(version(handler), excerpt(version(other))),
        None => finding.nearest(handler, names()),
    }
}

fn unknown_function(interface: &str, function: &str, offer: &Interface) -> Finding {
    let message = format!(
        "it imports `{}` of `{interface}`, and this server has no such function there",
        excerpt(function)
    );
    let names: Vec<&str> = offer.functions.keys().map(String::as_str).collect();
    let hint = if names.is_empty() {
        "there are no functions in it".into()
    } else {
        format!("there are {}", names.join(", "))
    };
    Finding::new("function_not_offered", message)
        .hint(hint)
        .nearest(function, names)
}

/// A name of an interface without what comes after the `@`.
fn without_version(name: &str) -> &str {
    name.split_once('@').map_or(name, |(name, _)| name)
}

fn version(name: &str) -> &str {
    name.split_once('@')
        .map_or("no version", |(_, version)| version)
}

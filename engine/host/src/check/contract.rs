//! The comparison of imports and exports with the contract in `wit/`: each function by name and type.
//!
//! wasmtime's linker rejects the same components, but it reports one problem at a time and in terms of its own.
//!
//! The server offers each version of the contract as a whole. The version of the exported handler is the version of
//! the component, and all its imports must have that version.

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

/// A version of the contract in `wit/`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ContractVersion {
    /// 0.1.0. A plugin names its own accounts by the id in its manifest, and cannot check its configuration.
    V0_1,
    /// 0.2.0, the present version.
    V0_2,
}

impl fmt::Display for ContractVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V0_1 => "0.1.0",
            Self::V0_2 => "0.2.0",
        })
    }
}

/// A contract that this server offers, parsed from its WIT text.
struct Contract {
    version: ContractVersion,
    resolve: Resolve,
    package: PackageId,
    /// The interfaces that a plugin may import, by their full names.
    offered: Vec<(String, InterfaceId)>,
}

/// All contracts that this server offers, the present one first.
static CONTRACTS: LazyLock<[Contract; 2]> = LazyLock::new(|| {
    let present = include_str!("../../../../wit/plugin.wit");
    let first = include_str!("../../../../wit/0.1.0/plugin.wit");
    [
        Contract::parse(ContractVersion::V0_2, present),
        Contract::parse(ContractVersion::V0_1, first),
    ]
});

impl Contract {
    fn parse(version: ContractVersion, text: &str) -> Self {
        let mut resolve = Resolve::new();
        let package = resolve.push_source("plugin.wit", text);
        let package = package.expect("the bindings are generated from the same text");
        let world = resolve.packages[package].worlds["plugin"];
        let imports = interfaces(&resolve, &resolve.worlds[world].imports);
        Self {
            version,
            offered: imports.collect(),
            package,
            resolve,
        }
    }

    /// Returns the contract whose handler is among the exports, or else the present contract.
    fn of_handler(exports: &[(String, InterfaceId)]) -> &'static Self {
        let [present, ..] = &*CONTRACTS;
        let exports_handler = |contract: &&Self| {
            let (handler, _) = contract.interface("handler");
            exports.iter().any(|(export, _)| *export == handler)
        };
        CONTRACTS.iter().find(exports_handler).unwrap_or(present)
    }

    /// Returns an interface of the package and its full name.
    fn interface(&self, name: &str) -> (String, InterfaceId) {
        let full = self.resolve.id_of_name(self.package, name);
        let interface = self.resolve.packages[self.package].interfaces[name];
        (full, interface)
    }

    /// Returns true if an interface name belongs to this package, in any version.
    fn has_package_of(&self, name: &str) -> bool {
        let package = &self.resolve.packages[self.package].name;
        let ours = format!("{}:{}/", package.namespace, package.name);
        name.starts_with(&ours)
    }
}

/// Returns the interfaces that a world imports or exports, with their full names.
fn interfaces<'a>(
    resolve: &'a Resolve,
    items: impl IntoIterator<Item = (&'a WorldKey, &'a WorldItem)> + 'a,
) -> impl Iterator<Item = (String, InterfaceId)> + 'a {
    items.into_iter().filter_map(|(key, item)| match item {
        WorldItem::Interface { id, .. } => Some((resolve.name_world_key(key), *id)),
        WorldItem::Function(_) | WorldItem::Type { .. } => None,
    })
}

/// Checks that a component imports only what the contract offers and exports what the contract requires.
pub(crate) fn check_contract(bytes: &[u8]) -> Result<ContractVersion, Report> {
    let DecodedWasm::Component(resolve, world) = decode_component(bytes)? else {
        return Err(Finding::new("wit_package", "this is a WIT package, not a component").into());
    };
    let mut findings = Findings::default();
    let component = ComponentInterface::new(&resolve, world)?;
    component.check_imports(&mut findings);
    component.check_exports(&mut findings);
    findings.report()?;
    Ok(component.contract.version)
}

/// Decodes the types of a component.
fn decode_component(bytes: &[u8]) -> Result<DecodedWasm, Report> {
    let invalid = |message: String| Report::from(Finding::new("invalid", message));
    // wit-parser decodes what toolchains emit, and panics on some other valid components. A panic is a finding
    // about this component, not a failure of the server.
    match catch_unwind(|| decode(bytes)) {
        Ok(decoded) => decoded.map_err(|error| invalid(format!("{error:#}"))),
        Err(_) => Err(invalid(
            "its imports and exports cannot be written as WIT".into(),
        )),
    }
}

/// The imports and exports of a component.
struct ComponentInterface<'a> {
    resolve: &'a Resolve,
    world: &'a World,
    exports: Vec<(String, InterfaceId)>,
    /// The contract whose handler the component exports.
    contract: &'static Contract,
}

impl<'a> ComponentInterface<'a> {
    fn new(resolve: &'a Resolve, world: WorldId) -> Result<Self, Report> {
        let world = resolve.worlds.get(world);
        let no_world = || Finding::new("invalid", "the component has no world");
        let world = world.ok_or_else(no_world)?;
        let exports: Vec<_> = interfaces(resolve, &world.exports).collect();
        Ok(Self {
            resolve,
            world,
            contract: Contract::of_handler(&exports),
            exports,
        })
    }

    fn check_imports(&self, findings: &mut Findings) {
        let offered = &self.contract.offered;
        for (key, item) in &self.world.imports {
            let name = self.resolve.name_world_key(key);
            let known = offered.iter().find(|(offer, _)| *offer == name);
            match (item, known) {
                // A type that the world uses is listed as an import, and so is the interface of that type.
                (WorldItem::Type { .. }, _) => {}
                (WorldItem::Interface { id, .. }, Some((_, offer))) => {
                    self.check_import(&name, *offer, *id, findings);
                }
                (WorldItem::Interface { .. } | WorldItem::Function(_), _) => {
                    findings.add(self.unknown_import(&name));
                }
            }
        }
    }

    /// Returns the finding about an import that the contract does not offer.
    fn unknown_import(&self, name: &str) -> Finding {
        let imports = format!("it imports `{}`", excerpt(name));
        let offered = &self.contract.offered;
        let names = || offered.iter().map(|(offer, _)| offer.as_str());
        let list = names().collect::<Vec<_>>().join(", ");
        let same_but_version =
            names().find(|offer| without_version(offer) == without_version(name));
        if let Some(offer) = same_but_version {
            let requested = excerpt(version(name));
            let have = version(offer);
            let offered_too = CONTRACTS
                .iter()
                .any(|contract| contract.offered.iter().any(|(offer, _)| offer == name));
            let message = if offered_too {
                format!(
                    "{imports}, but its handler has version {have}, and imports must have the same version"
                )
            } else {
                format!("{imports}, but this server offers version {have} of it")
            };
            return Finding::new("import_not_allowed", message)
                .hint(format!(
                    "build it against {have}; this server offers {list}"
                ))
                .mismatch(have, requested);
        }
        let hint = if name.starts_with("wasi:") {
            format!(
                "plugins have no WASI: {HOW_TO_BUILD}; for JavaScript and Python, use --stub-wasi"
            )
        } else if self.contract.has_package_of(name) {
            format!("this server offers {list}")
        } else {
            format!("a plugin can import only {list}")
        };
        Finding::new("import_not_allowed", imports)
            .hint(hint)
            .nearest(name, names())
    }

    /// Checks the functions that a component imports from an interface that is offered.
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
                    findings.extend(self.check_function("imports", name, offered, imported));
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
            None => findings.add(missing_handler(&handler, &self.exports)),
        }
        let optional: &[&str] = match self.contract.version {
            ContractVersion::V0_1 => &["schedule"],
            ContractVersion::V0_2 => &["schedule", "configuration"],
        };
        for name in optional {
            let (name, expected) = self.contract.interface(name);
            if let Some((_, found)) = export(&name) {
                self.check_export(&name, expected, *found, findings);
            }
        }
    }

    /// Checks that an exported interface has all functions of the contract, with the same types.
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
                findings.extend(self.check_function("exports", name, expected, found));
            } else {
                let message = format!("it exports `{name}`, but not its function `{function}`");
                let hint = "export the whole interface, as in wit/";
                let names = exported.keys().map(String::as_str);
                let finding = Finding::new("export_missing", message);
                findings.add(finding.hint(hint).nearest(function, names));
            }
        }
    }

    /// Returns a finding if the type of a function differs from the contract.
    fn check_function(
        &self,
        verb: &str,
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
        let message = format!("it {verb} `{name}` of `{interface}` with a different type");
        let hint = "regenerate the bindings from the package in wit/";
        Some(
            Finding::new("function_differs", message)
                .hint(hint)
                .mismatch(expected, found),
        )
    }
}

fn missing_handler(handler: &str, exports: &[(String, InterfaceId)]) -> Finding {
    let finding = Finding::new("export_missing", format!("it does not export `{handler}`"))
        .hint("export the world `plugin` of the package in wit/");
    let names = || exports.iter().map(|(export, _)| export.as_str());
    match names().find(|export| without_version(export) == without_version(handler)) {
        Some(other) => finding.mismatch(version(handler), excerpt(version(other))),
        None => finding.nearest(handler, names()),
    }
}

fn unknown_function(interface: &str, function: &str, offer: &Interface) -> Finding {
    let message = format!(
        "it imports `{}` of `{interface}`, but that interface has no such function",
        excerpt(function)
    );
    let names: Vec<&str> = offer.functions.keys().map(String::as_str).collect();
    let hint = if names.is_empty() {
        "the interface has no functions".into()
    } else {
        format!("the interface has {}", names.join(", "))
    };
    Finding::new("function_not_offered", message)
        .hint(hint)
        .nearest(function, names)
}

/// Returns the name of an interface without its version.
fn without_version(name: &str) -> &str {
    name.split_once('@').map_or(name, |(name, _)| name)
}

fn version(name: &str) -> &str {
    name.split_once('@')
        .map_or("no version", |(_, version)| version)
}

//! The components in the binary, built from `plugins/` by the build script.

/// A plugin that can be installed by name, without an upload.
pub struct Bundled {
    /// The name after `bundled:`.
    pub name: &'static str,
    /// The component.
    pub bytes: &'static [u8],
}

/// Includes a component that the build script has built.
macro_rules! built {
    ($name:literal) => {
        include_bytes!(concat!(env!("OUT_DIR"), "/bursar_", $name, ".wasm"))
    };
}

/// Lists bundled plugins by name.
macro_rules! bundled {
    ($($name:literal),* $(,)?) => {
        &[$(Bundled { name: $name, bytes: built!($name) }),*]
    };
}

/// The plugins that can be installed as `bundled:NAME`.
pub const PLUGINS: &[Bundled] = bundled![
    "shop",
    "coinflip",
    "daily",
    "dice",
    "blackjack",
    "lottery",
    "slots",
    "work",
    "trade",
    "auction",
];

/// A malicious component. The demonstration uploads it; it cannot be installed by name.
pub const MALICIOUS: &[u8] = built!("malicious");

/// A component that debits members by a pattern, for tests. The binary does not refer to it, so the linker leaves it
/// out.
pub const ROB: &[u8] = built!("rob");

/// Finds a bundled plugin by name.
pub fn find(name: &str) -> Option<&'static Bundled> {
    PLUGINS.iter().find(|bundled| bundled.name == name)
}

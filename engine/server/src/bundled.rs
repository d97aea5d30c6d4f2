//! The components that the binary carries, built from `plugins/` by the build script.

/// A component that is installed by name, without an upload.
pub struct Bundled {
    /// The name after `bundled:`.
    pub name: &'static str,
    /// The component.
    pub bytes: &'static [u8],
}

/// A component that the build script has made.
macro_rules! built {
    ($name:literal) => {
        include_bytes!(concat!(env!("OUT_DIR"), "/bursar_", $name, ".wasm"))
    };
}

/// The bundled plugins of these names.
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

/// A component that tries to do harm. The demo uploads it like anybody would; it cannot be
/// installed by name.
pub const MALICIOUS: &[u8] = built!("malicious");

/// A component that takes of members by a pattern. Tests upload it; nothing of the binary does, so it is not
/// in there.
pub const ROB: &[u8] = built!("rob");

/// A bundled plugin by name.
pub fn find(name: &str) -> Option<&'static Bundled> {
    PLUGINS.iter().find(|bundled| bundled.name == name)
}

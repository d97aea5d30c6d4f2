//! The components that the binary carries, built from `plugins/` by the build script.

/// A component that is installed by name, without an upload.
pub struct Bundled {
    /// The name after `bundled:`.
    pub name: &'static str,
    /// The component.
    pub bytes: &'static [u8],
}

/// The plugins that can be installed as `bundled:NAME`.
pub const PLUGINS: [Bundled; 2] = [
    Bundled {
        name: "shop",
        bytes: include_bytes!(concat!(env!("OUT_DIR"), "/bursar_shop.wasm")),
    },
    Bundled {
        name: "coinflip",
        bytes: include_bytes!(concat!(env!("OUT_DIR"), "/bursar_coinflip.wasm")),
    },
];

/// A component that tries to do harm. The demo uploads it like anybody would; it cannot be
/// installed by name.
pub const VILLAIN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/bursar_villain.wasm"));

/// A bundled plugin by name.
pub fn find(name: &str) -> Option<&'static Bundled> {
    PLUGINS.iter().find(|bundled| bundled.name == name)
}

//! The contract in `wit/`, as Rust: the only place that runs the generator.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::pedantic,
    reason = "generated from the documented WIT package"
)]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "plugin",
    imports: { default: trappable },
});

/// What a plugin with schedules exports beside.
pub(crate) mod schedules {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "schedules",
    });
}

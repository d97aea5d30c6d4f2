//! The Rust bindings of the contract in `wit/`. Only this file runs the generator.
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

/// The additional export of a plugin with schedules.
pub(crate) mod schedules {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "schedules",
    });
}

/// The optional export of a plugin that checks its own configuration.
pub(crate) mod configured {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "configured",
    });
}

/// Version 0.1.0 of the contract. It shares its `types` with the present version.
pub(crate) mod v0_1 {
    wasmtime::component::bindgen!({
        path: "../../wit/0.1.0",
        world: "plugin",
        imports: { default: trappable },
        with: { "bursar:plugin/types@0.1.0": crate::run::bindings::bursar::plugin::types },
    });

    pub(crate) mod schedules {
        wasmtime::component::bindgen!({
            path: "../../wit/0.1.0",
            world: "schedules",
        });
    }
}

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

/// The optional export of a plugin that checks its own configuration.
pub(crate) mod configured {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "configured",
    });
}

/// The first version of the contract. Its words are those of the present one.
pub(crate) mod first {
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

//! The contract in `wit/`, as Rust: generated, and all of it public.
#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated from the documented WIT package; crossing the border needs unsafe code"
)]

wit_bindgen::generate!({
    path: "../../wit",
    world: "plugin",
    pub_export_macro: true,
    default_bindings_module: "bursar_plugin::bindings",
});

/// What a plugin with schedules exports beside.
pub mod schedules {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "schedules",
        pub_export_macro: true,
        default_bindings_module: "bursar_plugin::bindings::schedules",
        export_macro_name: "export_schedules",
    });
}

/// What a plugin exports beside that checks its own configuration.
pub mod configured {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "configured",
        pub_export_macro: true,
        default_bindings_module: "bursar_plugin::bindings::configured",
        export_macro_name: "export_configured",
        additional_derives: [PartialEq, Eq],
    });
}

//! The contract in `wit/` as generated Rust code. All of it is public.
#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated from the documented WIT package; calls across the component's boundary need unsafe code"
)]

wit_bindgen::generate!({
    path: "../../wit",
    world: "plugin",
    pub_export_macro: true,
    default_bindings_module: "bursar_plugin::bindings",
});

/// The additional export of a plugin with schedules.
pub mod schedules {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "schedules",
        pub_export_macro: true,
        default_bindings_module: "bursar_plugin::bindings::schedules",
        export_macro_name: "export_schedules",
    });
}

/// The additional export of a plugin that checks its configuration.
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

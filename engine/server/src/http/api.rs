//! The description of the API: routes, schemas, codes, views and pages.

pub(crate) mod codes;
pub(crate) mod docs;
pub(crate) mod openapi;
pub(crate) mod route;
pub(crate) mod schemas;
pub(crate) mod views;

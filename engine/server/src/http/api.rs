//! The description of the API: routes, schemas, codes, response bodies and the pages made from
//! them.

pub(crate) mod codes;
pub(crate) mod docs;
pub(crate) mod listing;
pub(crate) mod openapi;
pub(crate) mod route;
pub(crate) mod schemas;
pub(crate) mod views;

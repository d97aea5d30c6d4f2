//! JSON schemas of the ledger's types, for the description of the API.
//!
//! The ledger does not depend on a schema library, so its types are described here. Members of
//! request and response bodies name these schemas with `#[schemars(with = "…")]`. The tests
//! validate every response against them.

/// Declares a schema: a type without values that is named like the schema.
macro_rules! shape {
    ($name:ident, |$generator:ident| $schema:expr) => {
        pub(crate) struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

mod books;
mod plugins;
mod problems;
mod receipts;
mod reports;
mod values;

pub(crate) use books::*;
pub(crate) use plugins::*;
pub(crate) use problems::*;
pub(crate) use receipts::*;
pub(crate) use reports::*;
pub(crate) use values::*;

//! Schemas of a plugin's types, as a manifest has them: JSON Schema that every validator reads alike.
//!
//! What schemars makes of Rust's types is changed in two places. Its formats for numbers (`uint32`) are
//! Rust's own, and strict validators refuse a format that they do not know: bounds say as much. And a map
//! by assets or accounts has a pattern for its names, where a form or a bot is to know of what they are.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use crate::names::{Account, Asset};

/// The schema of a type.
pub fn schema_of<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().with_transform(RecursiveTransform(plain));
    settings.into_generator().into_root_schema_for::<T>()
}

/// Writes one schema in the words of JSON Schema.
fn plain(schema: &mut Schema) {
    if let Some(schema) = schema.as_object_mut() {
        bound_numbers(schema);
        name_members(schema);
    }
}

/// Writes bounds in place of the formats of Rust's numbers.
fn bound_numbers(schema: &mut Map<String, Value>) {
    let format = schema.get("format").and_then(Value::as_str);
    let (least, most) = match format.unwrap_or_default() {
        "int32" => (Some(json!(i32::MIN)), Some(json!(i32::MAX))),
        "uint32" => (Some(json!(u32::MIN)), Some(json!(u32::MAX))),
        // These have bounds already, or none that a JSON number has.
        "int8" | "int16" | "int64" | "int128" | "int" | "uint8" | "uint16" | "uint64"
        | "uint128" | "uint" | "float" | "double" => (None, None),
        _ => return,
    };
    schema.remove("format");
    for (keyword, bound) in [("minimum", least), ("maximum", most)] {
        if let Some(bound) = bound {
            schema.entry(keyword).or_insert(bound);
        }
    }
}

/// Writes the names of a map's members as names, where they are those of assets or accounts.
fn name_members(schema: &mut Map<String, Value>) {
    let patterns = schema.get("patternProperties").and_then(Value::as_object);
    let Some((pattern, values)) = patterns.and_then(|patterns| only(patterns)) else {
        return;
    };
    let names = [schema_of_name::<Account>(), schema_of_name::<Asset>()];
    let mut names = names.into_iter();
    let Some(name) = names.find(|name| name.get("pattern") == Some(&json!(pattern))) else {
        return;
    };
    let values = values.clone();
    schema.remove("patternProperties");
    schema.insert("propertyNames".into(), name.to_value());
    schema.insert("additionalProperties".into(), values);
}

fn only(members: &Map<String, Value>) -> Option<(&String, &Value)> {
    let mut members = members.iter();
    members.next().filter(|_| members.next().is_none())
}

fn schema_of_name<T: JsonSchema>() -> Schema {
    T::json_schema(&mut SchemaSettings::draft2020_12().into_generator())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::amount::Amount;

    fn written<T: JsonSchema>() -> Value {
        let mut schema = schema_of::<T>().to_value();
        let members = schema.as_object_mut().expect("an object");
        members.remove("$schema");
        members.remove("title");
        schema
    }

    #[test]
    fn numbers_have_bounds_and_no_format_of_rust() {
        assert_eq!(
            written::<u8>(),
            json!({"type": "integer", "minimum": 0, "maximum": 255})
        );
        assert_eq!(
            written::<u32>(),
            json!({"type": "integer", "minimum": 0, "maximum": 4_294_967_295_u32})
        );
        assert_eq!(
            written::<i32>(),
            json!({"type": "integer", "minimum": i32::MIN, "maximum": i32::MAX})
        );
        assert_eq!(written::<u64>(), json!({"type": "integer", "minimum": 0}));
        assert_eq!(written::<f64>(), json!({"type": "number"}));
        let within = written::<Vec<Option<u32>>>();
        assert!(!within.to_string().contains("format"), "{within}");
    }

    #[test]
    fn a_bound_that_an_author_wrote_stays() {
        #[derive(JsonSchema)]
        struct Shares {
            #[schemars(range(max = 100))]
            #[allow(dead_code, reason = "its schema is looked at")]
            percent: u32,
        }
        let shares = written::<Shares>();
        assert_eq!(
            shares["properties"]["percent"],
            json!({"type": "integer", "minimum": 0, "maximum": 100})
        );
    }

    #[test]
    fn names_and_amounts_say_what_they_are() {
        assert_eq!(written::<Account>()["format"], "account");
        assert_eq!(written::<Asset>()["format"], "asset");
        assert_eq!(written::<Amount>()["format"], "amount");
    }

    #[test]
    fn a_map_by_names_says_of_what_they_are() {
        let prices = written::<BTreeMap<Asset, Amount>>();
        assert_eq!(prices["propertyNames"]["format"], "asset");
        assert_eq!(prices["additionalProperties"]["format"], "amount");
        assert_eq!(prices.get("patternProperties"), None);
        let shares = written::<BTreeMap<Account, Amount>>();
        assert_eq!(shares["propertyNames"]["format"], "account");
        let other = written::<BTreeMap<u32, Amount>>();
        assert!(other.get("patternProperties").is_some(), "{other}");
    }
}

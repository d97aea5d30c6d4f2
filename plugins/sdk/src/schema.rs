//! The JSON Schemas of a plugin's types in its manifest.
//!
//! They differ from the output of schemars in two ways. Formats such as `uint32` become bounds, since strict
//! validators reject formats that they do not know. The keys of a map by assets or accounts get the schema of
//! a name in place of a pattern, so that forms and bots know the kind of name.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use crate::names::{Account, Asset};

/// Returns the JSON Schema of a type.
pub fn schema_of<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().with_transform(RecursiveTransform(standardise));
    settings.into_generator().into_root_schema_for::<T>()
}

/// Replaces the parts of one schema that are specific to Rust.
fn standardise(schema: &mut Schema) {
    if let Some(schema) = schema.as_object_mut() {
        bound_numbers(schema);
        describe_keys(schema);
    }
}

/// Replaces the format of a Rust integer by bounds.
fn bound_numbers(schema: &mut Map<String, Value>) {
    let format = schema.get("format").and_then(Value::as_str);
    let (least, most) = match format.unwrap_or_default() {
        "int32" => (Some(json!(i32::MIN)), Some(json!(i32::MAX))),
        "uint32" => (Some(json!(u32::MIN)), Some(json!(u32::MAX))),
        // Schemars writes the bounds of these types, or they have none within the range of JSON numbers.
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

/// Replaces the pattern of a map's keys by the schema of a name, if the keys are assets or accounts.
fn describe_keys(schema: &mut Map<String, Value>) {
    let patterns = schema.get("patternProperties").and_then(Value::as_object);
    let Some((pattern, values)) = patterns.and_then(|patterns| single(patterns)) else {
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

fn single(members: &Map<String, Value>) -> Option<(&String, &Value)> {
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

    fn schema<T: JsonSchema>() -> Value {
        let mut schema = schema_of::<T>().to_value();
        let members = schema.as_object_mut().expect("an object");
        members.remove("$schema");
        members.remove("title");
        schema
    }

    #[test]
    fn numbers_have_bounds_instead_of_rust_formats() {
        assert_eq!(
            schema::<u8>(),
            json!({"type": "integer", "minimum": 0, "maximum": 255})
        );
        assert_eq!(
            schema::<u32>(),
            json!({"type": "integer", "minimum": 0, "maximum": 4_294_967_295_u32})
        );
        assert_eq!(
            schema::<i32>(),
            json!({"type": "integer", "minimum": i32::MIN, "maximum": i32::MAX})
        );
        assert_eq!(schema::<u64>(), json!({"type": "integer", "minimum": 0}));
        assert_eq!(schema::<f64>(), json!({"type": "number"}));
        let within = schema::<Vec<Option<u32>>>();
        assert!(!within.to_string().contains("format"), "{within}");
    }

    #[test]
    fn the_bound_of_an_author_is_kept() {
        #[derive(JsonSchema)]
        struct Shares {
            #[schemars(range(max = 100))]
            #[allow(dead_code, reason = "only its schema is used")]
            percent: u32,
        }
        let shares = schema::<Shares>();
        assert_eq!(
            shares["properties"]["percent"],
            json!({"type": "integer", "minimum": 0, "maximum": 100})
        );
    }

    #[test]
    fn names_and_amounts_have_a_format() {
        assert_eq!(schema::<Account>()["format"], "account");
        assert_eq!(schema::<Asset>()["format"], "asset");
        assert_eq!(schema::<Amount>()["format"], "amount");
    }

    #[test]
    fn the_keys_of_a_map_by_names_have_a_format() {
        let prices = schema::<BTreeMap<Asset, Amount>>();
        assert_eq!(prices["propertyNames"]["format"], "asset");
        assert_eq!(prices["additionalProperties"]["format"], "amount");
        assert_eq!(prices.get("patternProperties"), None);
        let shares = schema::<BTreeMap<Account, Amount>>();
        assert_eq!(shares["propertyNames"]["format"], "account");
        let other = schema::<BTreeMap<u32, Amount>>();
        assert!(other.get("patternProperties").is_some(), "{other}");
    }
}

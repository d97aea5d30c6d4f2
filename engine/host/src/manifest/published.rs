//! The JSON Schema of manifests, for editors and validators.

use serde_json::{Map, Value, json};

use super::members::MANIFEST;
use super::shape::{ObjectShape, Shape};
use crate::limits::TEXT_CHARS_MAX;

/// Returns the JSON Schema of manifests.
pub(super) fn schema() -> Value {
    let mut schema = MANIFEST.schema();
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = "Manifest of a plugin".into();
    schema
}

impl Shape {
    fn schema(&self) -> Value {
        match self {
            Self::Any => json!({}),
            Self::Schema => json!({"type": ["object", "boolean"]}),
            Self::Flag => json!({"type": "boolean"}),
            Self::True => json!({"const": true}),
            Self::Text => json!({"type": "string", "maxLength": TEXT_CHARS_MAX}),
            Self::Word(words) => json!({"enum": words}),
            Self::Name(name) => json!({"type": "string", "pattern": name.pattern}),
            Self::Number { least, most } => {
                json!({"type": "integer", "minimum": least, "maximum": most})
            }
            Self::List(list) => {
                let mut schema = json!({"type": "array", "items": list.item.schema()});
                if list.least > 0 {
                    schema["minItems"] = list.least.into();
                }
                if let Some(most) = list.most {
                    schema["maxItems"] = most.into();
                }
                schema
            }
            Self::Object(object) => object.schema(),
            Self::Map(names) => {
                let mut schema = json!({
                    "type": "object", "propertyNames": {"pattern": names.name.pattern},
                    "additionalProperties": names.value.schema(),
                });
                if let Some(most) = names.most {
                    schema["maxProperties"] = most.into();
                }
                schema
            }
        }
    }
}

impl ObjectShape {
    fn schema(&self) -> Value {
        let mut properties = Map::new();
        for member in self.members {
            let mut schema = member.shape.schema();
            schema["description"] = member.about.into();
            properties.insert(member.name.into(), schema);
        }
        let required = self.members.iter().filter(|member| member.required);
        let required: Vec<&str> = required.map(|member| member.name).collect();
        json!({
            "type": "object", "properties": properties, "required": required,
            "additionalProperties": false,
        })
    }
}

//! The keywords of the dialect, and what to write instead of those of JSON Schema that are not in it.

/// Every keyword that a schema may have. The manual lists them with what each may cost.
pub(crate) const KEYWORDS: [&str; 47] = [
    "$comment",
    "$defs",
    "$ref",
    "$schema",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "contains",
    "default",
    "dependentRequired",
    "dependentSchemas",
    "deprecated",
    "description",
    "else",
    "enum",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "if",
    "items",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "oneOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "properties",
    "propertyNames",
    "readOnly",
    "required",
    "then",
    "title",
    "type",
    "uniqueItems",
    "writeOnly",
];

/// The schemas that `$schema` may name.
pub(super) const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// What to write instead of a keyword that is not in the dialect.
pub(super) fn instead_of(keyword: &str) -> Option<&'static str> {
    Some(match keyword {
        "unevaluatedProperties" => {
            "list all members in the `properties` of one object, with `additionalProperties`; in Rust, \
             write the members out in place of `#[serde(flatten)]`"
        }
        "unevaluatedItems" | "additionalItems" => "use `items` beside `prefixItems`",
        "$id" | "$anchor" | "$dynamicAnchor" | "$dynamicRef" | "$recursiveRef"
        | "$recursiveAnchor" => "refer by `$ref` to `#/$defs/NAME` only",
        "definitions" => "in 2020-12 they are `$defs`",
        "dependencies" => "use `dependentRequired` or `dependentSchemas`",
        "nullable" => "use `\"type\": [\"string\", \"null\"]`",
        "contentEncoding" | "contentMediaType" | "contentSchema" => {
            "say in the `description` what the text contains"
        }
        "$vocabulary" => "schemas are of the dialect, and need not say so",
        _ => return None,
    })
}

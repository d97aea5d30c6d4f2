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

/// Tells what to do about a keyword that is not in the dialect.
pub(super) fn hint_for(keyword: &str) -> String {
    match (instead_of(keyword), nearest(keyword)) {
        (Some(hint), _) => hint.into(),
        (None, Some(nearest)) => format!("did you mean `{nearest}`?"),
        (None, None) => "docs/plugins.md lists the keywords under \"Schemas\"".into(),
    }
}

/// Tells what to write instead of a keyword of JSON Schema that is not in the dialect.
fn instead_of(keyword: &str) -> Option<&'static str> {
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

/// The keyword that may have been meant.
fn nearest(keyword: &str) -> Option<&'static str> {
    if keyword.len() > 32 {
        return None;
    }
    let measured = KEYWORDS.map(|known| (strsim::osa_distance(keyword, known), known));
    let (distance, known) = measured.into_iter().min_by_key(|(distance, _)| *distance)?;
    (distance <= 2).then_some(known)
}

//! The keywords of the dialect, and hints about keywords of JSON Schema that are not in it.

/// All keywords of the dialect. `docs/plugins.md` lists them with their costs.
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

/// The only value of `$schema`.
pub(super) const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Returns a hint about a keyword that is not in the dialect.
pub(super) fn hint_for(keyword: &str) -> String {
    match (instead_of(keyword), nearest(keyword)) {
        (Some(hint), _) => hint.into(),
        (None, Some(nearest)) => format!("did you mean `{nearest}`?"),
        (None, None) => "docs/plugins.md lists the keywords under \"Schemas\"".into(),
    }
}

/// Returns a replacement for a keyword of JSON Schema that is not in the dialect.
fn instead_of(keyword: &str) -> Option<&'static str> {
    Some(match keyword {
        "unevaluatedProperties" => {
            "list all members in the `properties` of one object, with `additionalProperties`; in Rust, \
             write the members out in place of `#[serde(flatten)]`"
        }
        "unevaluatedItems" | "additionalItems" => "use `items` together with `prefixItems`",
        "$id" | "$anchor" | "$dynamicAnchor" | "$dynamicRef" | "$recursiveRef"
        | "$recursiveAnchor" => "use only `$ref` to `#/$defs/NAME`",
        "definitions" => "use `$defs`, as in 2020-12",
        "dependencies" => "use `dependentRequired` or `dependentSchemas`",
        "nullable" => "use `\"type\": [\"string\", \"null\"]`",
        "contentEncoding" | "contentMediaType" | "contentSchema" => {
            "describe the content of the text in the `description`"
        }
        "$vocabulary" => "leave it out: all schemas have the same dialect",
        _ => return None,
    })
}

/// Returns the most similar keyword, if one is similar enough.
fn nearest(keyword: &str) -> Option<&'static str> {
    // The comparison takes quadratic time, and the keyword is untrusted.
    if keyword.len() > 32 {
        return None;
    }
    let measured = KEYWORDS.map(|known| (strsim::osa_distance(keyword, known), known));
    let (distance, known) = measured.into_iter().min_by_key(|(distance, _)| *distance)?;
    (distance <= 2).then_some(known)
}

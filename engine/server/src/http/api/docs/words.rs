//! Parts of the page: escaped text, schemas in one line, and requests to copy.

use pulldown_cmark::{Options, Parser, html};
use serde_json::Value;

/// Appends formatted text to a string.
macro_rules! add {
    ($text:expr, $($what:tt)*) => {{
        use std::fmt::Write as _;
        write!($text, $($what)*).expect("writing to a string does not fail")
    }};
}
pub(super) use add;

/// Escapes text for HTML.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

pub(super) fn markdown(text: &str) -> String {
    let mut rendered = String::new();
    html::push_html(&mut rendered, Parser::new_ext(text, Options::ENABLE_TABLES));
    rendered
}

pub(super) fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value
        .get(member)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

pub(super) fn members<'a>(
    value: &'a Value,
    member: &str,
) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value
        .get(member)
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
}

pub(super) fn items<'a>(value: &'a Value, member: &str) -> impl Iterator<Item = &'a Value> {
    value
        .get(member)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

/// Returns the name at the end of a reference.
fn referred(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.rsplit('/').next()
}

/// Describes a schema in a few words, with links to named schemas.
pub(super) fn kind(schema: &Value) -> String {
    if let Some(name) = referred(schema) {
        return format!("<a href=\"#schema-{name}\">{name}</a>");
    }
    for alternatives in ["anyOf", "oneOf"] {
        if schema.get(alternatives).is_some() {
            let kinds: Vec<String> = items(schema, alternatives).map(kind).collect();
            return kinds.join(" or ");
        }
    }
    if let Some(only) = schema.get("const") {
        return format!("<code>{}</code>", escape(&only.to_string()));
    }
    if schema.get("enum").is_some() {
        let words: Vec<String> = items(schema, "enum")
            .map(|word| format!("<code>{}</code>", escape(&word.to_string())))
            .collect();
        return words.join(" or ");
    }
    let named = match schema.get("type") {
        Some(Value::String(one)) => one.clone(),
        Some(Value::Array(several)) => {
            let several: Vec<&str> = several.iter().filter_map(Value::as_str).collect();
            several.join(" or ")
        }
        _ => "anything".into(),
    };
    match (schema.get("items"), schema.get("additionalProperties")) {
        (Some(item), _) => format!("list of {}", kind(item)),
        (None, Some(value)) if value.is_object() => format!("{named} of {}", kind(value)),
        _ => named + &bounds(schema),
    }
}

fn bounds(schema: &Value) -> String {
    let names = [
        ("minimum", "from "),
        ("maximum", "to "),
        ("minLength", "at least "),
        ("maxLength", "at most "),
        ("pattern", "matching "),
        ("default", "default "),
    ];
    let mut words = String::new();
    for (member, word) in names {
        if let Some(value) = schema.get(member).filter(|value| !value.is_null()) {
            let value = value.as_str().map_or_else(|| value.to_string(), Into::into);
            add!(words, " {word}<code>{}</code>", escape(&value));
        }
    }
    words
}

/// Renders a request as a `curl` command. It uses the document's examples of parameters and
/// headers, and prefers those that are named like the example body.
pub(super) fn curl(
    path: &str,
    method: &str,
    operation: &Value,
    name: &str,
    body: Option<&Value>,
) -> String {
    let mut url = path.to_owned();
    let mut command = String::from("curl -sS");
    if method != "get" && (method != "post" || body.is_none()) {
        add!(command, " -X {}", method.to_uppercase());
    }
    if items(operation, "security").next().is_some() {
        command += " -H \"Authorization: Bearer $KEY\"";
    }
    for parameter in items(operation, "parameters") {
        let named = text(&parameter["examples"][name], "value");
        let example = if named.is_empty() {
            text(parameter, "example")
        } else {
            named
        };
        let name = text(parameter, "name");
        match text(parameter, "in") {
            "path" => url = url.replace(&format!("{{{name}}}"), example),
            "header" if !example.is_empty() => add!(command, " -H \"{name}: {example}\""),
            _ => {}
        }
    }
    if operation["requestBody"]["content"]
        .get("application/octet-stream")
        .is_some()
    {
        command += " --data-binary @plugin.wasm";
    }
    add!(command, " \\\n     \"$URL{url}\"");
    if let Some(body) = body {
        add!(command, " \\\n     -d '{body}'");
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        assert_eq!(
            escape("<a href=\"x\">&"),
            "&lt;a href=&quot;x&quot;&gt;&amp;"
        );
        assert_eq!(
            kind(&serde_json::json!({ "const": "<b>" })),
            "<code>&quot;&lt;b&gt;&quot;</code>"
        );
    }
}

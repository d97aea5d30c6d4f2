//! The API's documentation as an HTML page, rendered from an OpenAPI document. It must not know
//! anything about Bursar itself.

use serde_json::Value;

use super::words::{add, curl, escape, items, kind, markdown, members, text};

/// The placeholder in the page for the nonce of one response.
pub(super) const NONCE: &str = "NONCE";

const STYLE: &str = include_str!("page.css");

/// Renders the whole page.
pub(super) fn render(document: &Value) -> String {
    let mut page = Page {
        document,
        html: String::new(),
    };
    page.head();
    page.contents();
    page.main();
    page.html
}

struct Page<'a> {
    document: &'a Value,
    html: String,
}

impl Page<'_> {
    fn head(&mut self) {
        let info = &self.document["info"];
        let title = escape(text(info, "title"));
        let version = escape(text(info, "version"));
        add!(
            self.html,
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <title>{title} {version}: the API</title><style nonce=\"{NONCE}\">{STYLE}</style>\
             </head><body>"
        );
    }

    /// Returns the operations of a tag, as (path, method, operation).
    fn operations_of(&self, tag: &str) -> Vec<(&String, &String, &Value)> {
        let paths = members(self.document, "paths");
        let operations = paths.flat_map(|(path, methods)| {
            let methods = methods.as_object().into_iter().flatten();
            methods.map(move |(method, operation)| (path, method, operation))
        });
        operations
            .filter(|(_, _, operation)| items(operation, "tags").any(|one| one == tag))
            .collect()
    }

    fn contents(&mut self) {
        let mut list = String::from("<nav><a href=\"#top\">About</a>");
        for tag in items(self.document, "tags") {
            let tag = text(tag, "name");
            add!(list, "<section><b>{tag}</b><ul>");
            for (_, _, operation) in self.operations_of(tag) {
                let id = text(operation, "operationId");
                let summary = text(operation, "summary");
                add!(list, "<li><a href=\"#{id}\">{}</a></li>", escape(summary));
            }
            list += "</ul></section>";
        }
        list += "<section><b>Schemas</b><a href=\"#schemas\">All schemas</a></section></nav>";
        self.html += &list;
    }

    fn main(&mut self) {
        let document = self.document;
        let info = &document["info"];
        add!(
            self.html,
            "<main id=\"top\"><h1>{} <span class=\"soft\">{}</span></h1>\
             <p><a href=\"/openapi.json\">openapi.json</a></p>{}",
            escape(text(info, "title")),
            escape(text(info, "version")),
            markdown(text(info, "description")),
        );
        for tag in items(document, "tags") {
            let name = text(tag, "name");
            let about = text(tag, "description");
            add!(self.html, "<h2>{name}</h2>{}", markdown(about));
            let operations: Vec<(String, String, Value)> = self
                .operations_of(name)
                .into_iter()
                .map(|(path, method, operation)| (path.clone(), method.clone(), operation.clone()))
                .collect();
            for (path, method, operation) in operations {
                self.operation(&path, &method, &operation);
            }
        }
        self.schemas();
        self.html += "</main></body></html>";
    }

    fn operation(&mut self, path: &str, method: &str, operation: &Value) {
        let id = text(operation, "operationId");
        add!(
            self.html,
            "<article id=\"{id}\"><h3><a href=\"#{id}\">{}</a></h3><span class=\"path\">\
             <span class=\"method {method}\">{}</span> <code>{}</code> \
             <code class=\"soft\">{id}</code></span>{}",
            escape(text(operation, "summary")),
            method.to_uppercase(),
            escape(path),
            markdown(text(operation, "description")),
        );
        self.parameters(operation);
        self.body(operation);
        self.examples(path, method, operation);
        self.responses(operation);
        self.html += "</article>";
    }

    fn parameters(&mut self, operation: &Value) {
        if items(operation, "parameters").next().is_none() {
            return;
        }
        self.html += "<h4>Parameters</h4><div class=\"scroll\"><table>";
        for parameter in items(operation, "parameters") {
            let required = parameter["required"] == true;
            add!(
                self.html,
                "<tr><td><code>{}</code><td>{}{}<td>{}<td>{}</tr>",
                escape(text(parameter, "name")),
                text(parameter, "in"),
                if required { "" } else { ", optional" },
                kind(&parameter["schema"]),
                markdown(text(parameter, "description")),
            );
        }
        self.html += "</table></div>";
    }

    fn body(&mut self, operation: &Value) {
        let Some(body) = operation.get("requestBody") else {
            return;
        };
        for (media, content) in members(body, "content") {
            add!(
                self.html,
                "<h4>Body</h4><p><code>{media}</code>: {}. <span class=\"soft\">{}</span></p>",
                kind(&content["schema"]),
                escape(text(body, "description")),
            );
        }
    }

    /// Writes the request as a command to copy, once for each example body.
    fn examples(&mut self, path: &str, method: &str, operation: &Value) {
        let bodies: Vec<(String, Value)> = operation
            .get("requestBody")
            .map(|body| &body["content"]["application/json"])
            .into_iter()
            .flat_map(|content| members(content, "examples"))
            .map(|(name, example)| (name.clone(), example["value"].clone()))
            .collect();
        if bodies.is_empty() {
            self.curl("curl", &curl(path, method, operation, "", None));
        }
        for (name, body) in bodies {
            let title = format!("curl: {}", name.replace('_', " "));
            let command = curl(path, method, operation, &name, Some(&body));
            self.curl(&title, &command);
        }
    }

    fn curl(&mut self, name: &str, command: &str) {
        let name = escape(name);
        let command = escape(command);
        add!(
            self.html,
            "<details><summary>{name}</summary><pre>{command}</pre></details>"
        );
    }

    fn responses(&mut self, operation: &Value) {
        self.html += "<h4>Responses</h4><div class=\"scroll\"><table>";
        for (status, response) in members(operation, "responses") {
            let kinds: Vec<String> = members(response, "content")
                .map(|(_, content)| kind(&content["schema"]))
                .collect();
            let headers: Vec<&str> = members(response, "headers")
                .map(|(name, _)| name.as_str())
                .collect();
            add!(
                self.html,
                "<tr><td>{status}<td>{}<td>{}<td class=\"headers\"><code>{}</code></tr>",
                kinds.join(" or "),
                markdown(text(response, "description")),
                headers.join(", "),
            );
        }
        self.html += "</table></div>";
        for (status, response) in members(operation, "responses") {
            let example = response["content"]["application/json"].get("example");
            if let Some(example) = example {
                let pretty = serde_json::to_string_pretty(example).unwrap_or_default();
                self.curl(&format!("Example of {status}"), &pretty);
            }
        }
    }

    fn schemas(&mut self) {
        self.html += "<h2 id=\"schemas\">Schemas</h2>";
        let schemas: Vec<(String, Value)> = members(&self.document["components"], "schemas")
            .map(|(name, schema)| (name.clone(), schema.clone()))
            .collect();
        for (name, schema) in schemas {
            // The target is inside of `details`, so that a browser opens it when a link leads to
            // it.
            add!(
                self.html,
                "<details><summary>{name}</summary><div class=\"schema\" id=\"schema-{name}\">{}",
                markdown(text(&schema, "description")),
            );
            self.schema(&schema);
            self.html += "</div></details>";
        }
    }

    fn schema(&mut self, schema: &Value) {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            add!(self.html, "<p>{}</p>", kind(schema));
            return;
        };
        self.html += "<div class=\"scroll\"><table>";
        for (name, property) in properties {
            let required = items(schema, "required").any(|one| one == name.as_str());
            add!(
                self.html,
                "<tr><td><code>{}</code><td>{}<td>{}<td>{}</tr>",
                escape(name),
                if required { "" } else { "optional" },
                kind(property),
                markdown(text(property, "description")),
            );
        }
        self.html += "</table></div>";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_on_the_page_has_a_target() {
        let page = render(&crate::http::openapi());
        let links = page.split("href=\"#").skip(1);
        let mut count = 0;
        for link in links {
            let (target, _) = link.split_once('"').expect("a closed link");
            assert!(page.contains(&format!("id=\"{target}\"")), "#{target}");
            count += 1;
        }
        assert!(count > 100, "{count} links");
    }
}

//! The reference page: the OpenAPI document for people, in one file that needs no network.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use core::fmt::Write as _;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use std::sync::LazyLock;
use utoipa::openapi::OpenApi;

const STYLE: &str = include_str!("reference/page.css");
const SCRIPT: &str = include_str!("reference/page.js");

/// The content security policy of the page. It allows only the page's own style and script, by their digests.
pub(crate) static CONTENT_POLICY: LazyLock<String> = LazyLock::new(|| {
    let digest = |text: &str| STANDARD.encode(Sha256::digest(text.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        digest(STYLE),
        digest(SCRIPT)
    )
});

/// Renders the page of a document.
pub(crate) fn page(document: &OpenApi) -> String {
    let document = serde_json::to_value(document).unwrap_or_default();
    let title = escape(text(&document, "/info/title"));
    let groups = groups(&document);
    let mut html = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        html,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title} API</title>\
         <style>{STYLE}</style></head><body><nav><h1>{title} {}</h1>\
         <input id=\"search\" type=\"search\" placeholder=\"Search\" aria-label=\"Search\">",
        escape(text(&document, "/info/version"))
    );
    for (tag, calls) in &groups {
        let _ = write!(html, "<div data-group><h2>{}</h2>", escape(tag));
        for call in calls {
            let _ = write!(
                html,
                "<a href=\"#{0}\" data-text=\"{1}\">{2}</a>",
                call.name(),
                call.words(),
                call.summary()
            );
        }
        html.push_str("</div>");
    }
    let _ = write!(
        html,
        "</nav><main><p>{}</p>",
        escape(text(&document, "/info/description"))
    );
    for (tag, calls) in &groups {
        let _ = write!(html, "<section data-group><h2>{}</h2>", escape(tag));
        for call in calls {
            call.write(&mut html);
        }
        html.push_str("</section>");
    }
    html.push_str("<section><h2>Shapes</h2>");
    for (name, schema) in object(&document, "/components/schemas") {
        let _ = write!(html, "<article id=\"shape-{0}\"><h3>{0}</h3>", escape(name));
        write_schema(&mut html, schema);
        html.push_str("</article>");
    }
    let _ = write!(html, "</section></main><script>{SCRIPT}</script></body></html>");
    html
}

/// One call of the document.
struct Call<'a> {
    path: &'a str,
    method: &'a str,
    operation: &'a Value,
}

/// Groups the calls by tag, in the order of the document's tags.
fn groups(document: &Value) -> Vec<(&str, Vec<Call<'_>>)> {
    let tags = document.pointer("/tags").and_then(Value::as_array);
    let mut groups: Vec<(&str, Vec<Call<'_>>)> = tags
        .into_iter()
        .flatten()
        .map(|tag| (text(tag, "/name"), Vec::new()))
        .collect();
    for (path, item) in object(document, "/paths") {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let tag = text(operation, "/tags/0");
            if let Some((_, calls)) = groups.iter_mut().find(|(name, _)| *name == tag) {
                calls.push(Call {
                    path,
                    method,
                    operation,
                });
            }
        }
    }
    groups
}

impl Call<'_> {
    fn name(&self) -> String {
        escape(text(self.operation, "/operationId"))
    }

    fn summary(&self) -> String {
        escape(text(self.operation, "/summary"))
    }

    /// Returns the text that a search matches.
    fn words(&self) -> String {
        let words = [
            self.method,
            self.path,
            text(self.operation, "/summary"),
            text(self.operation, "/operationId"),
        ];
        escape(&words.join(" ").to_lowercase())
    }

    fn write(&self, html: &mut String) {
        let _ = write!(
            html,
            "<article id=\"{}\" data-text=\"{}\"><h3>{}</h3><p><span class=\"method\">{}</span><code>{}</code></p>",
            self.name(),
            self.words(),
            self.summary(),
            self.method.to_uppercase(),
            escape(self.path)
        );
        let parameters = self.operation.pointer("/parameters").and_then(Value::as_array);
        if let Some(parameters) = parameters.filter(|list| !list.is_empty()) {
            html.push_str("<table><tr><th>Parameter</th><th>In</th><th>Type</th><th></th></tr>");
            for parameter in parameters {
                let schema = parameter.get("schema").unwrap_or(&Value::Null);
                let _ = write!(
                    html,
                    "<tr><td><code>{}</code>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                    escape(text(parameter, "/name")),
                    mark(parameter.get("required") == Some(&Value::Bool(true))),
                    escape(text(parameter, "/in")),
                    type_of(schema),
                    escape(text(parameter, "/description"))
                );
            }
            html.push_str("</table>");
        }
        if let Some(schema) = self.operation.pointer("/requestBody/content/application~1json/schema") {
            let _ = write!(html, "<p>Body: {}</p>", type_of(schema));
        }
        html.push_str("<table><tr><th>Status</th><th>Answer</th></tr>");
        for (status, response) in object(self.operation, "/responses") {
            let _ = write!(
                html,
                "<tr><td><code>{}</code></td><td>{}</td></tr>",
                escape(status),
                answer(response)
            );
        }
        html.push_str("</table></article>");
    }
}

fn answer(response: &Value) -> String {
    let mut html = String::new();
    let description = text(response, "/description");
    let (lines, codes): (Vec<&str>, Vec<&str>) = description.lines().partition(|line| !line.starts_with("- "));
    if !lines.is_empty() {
        html.push_str(&escape(&lines.join(" ")));
        if let Some(schema) = response.pointer("/content/application~1json/schema") {
            let _ = write!(html, " {}", type_of(schema));
        }
    }
    if !codes.is_empty() {
        html.push_str("<ul>");
        for line in codes {
            let _ = write!(html, "<li>{}</li>", ticks(line.trim_start_matches("- ")));
        }
        html.push_str("</ul>");
    }
    html
}

fn write_schema(html: &mut String, schema: &Value) {
    let description = text(schema, "/description");
    if !description.is_empty() {
        let _ = write!(html, "<p>{}</p>", ticks(description));
    }
    let required: Vec<&str> = schema
        .pointer("/required")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    if object(schema, "/properties").is_empty() {
        let _ = write!(html, "<p>{}</p>", type_of(schema));
        return;
    }
    html.push_str("<table><tr><th>Field</th><th>Type</th><th></th></tr>");
    for (name, property) in object(schema, "/properties") {
        let _ = write!(
            html,
            "<tr><td><code>{}</code>{}</td><td>{}</td><td>{}</td></tr>",
            escape(name),
            mark(required.contains(&name.as_str())),
            type_of(property),
            ticks(text(property, "/description"))
        );
    }
    html.push_str("</table>");
}

const fn mark(required: bool) -> &'static str {
    if required {
        " <span class=\"required\">required</span>"
    } else {
        ""
    }
}

/// Describes a type in a few words, with links to named schemas.
fn type_of(schema: &Value) -> String {
    if let Some(name) = schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|path| path.rsplit('/').next())
    {
        return format!("<a href=\"#shape-{0}\">{0}</a>", escape(name));
    }
    let choices = ["oneOf", "anyOf"]
        .iter()
        .find_map(|key| schema.get(key).and_then(Value::as_array));
    if let Some(choices) = choices {
        let choices: Vec<String> = choices.iter().map(type_of).collect();
        return choices.join(" or ");
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        let words: Vec<String> = words
            .iter()
            .map(|word| format!("<code>{}</code>", escape(&plain(word))))
            .collect();
        return words.join(" ");
    }
    let kind = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().map(plain).collect::<Vec<_>>().join(" or "),
        Some(kind) => plain(kind),
        None => "anything".to_owned(),
    };
    if let Some(items) = schema.get("items") {
        return format!("list of {}", type_of(items));
    }
    if !object(schema, "/properties").is_empty() {
        let fields: Vec<String> = object(schema, "/properties")
            .iter()
            .map(|(name, property)| format!("<code>{}</code>: {}", escape(name), type_of(property)))
            .collect();
        return format!("{{ {} }}", fields.join(", "));
    }
    let mut words = vec![escape(&kind)];
    words.extend(
        schema
            .get("format")
            .map(|format| format!("({})", escape(&plain(format)))),
    );
    let bounds = [
        ("minLength", "≥"),
        ("maxLength", "≤"),
        ("minimum", "≥"),
        ("maximum", "≤"),
        ("default", "default"),
    ];
    words.extend(
        bounds
            .iter()
            .filter_map(|(key, word)| Some(format!("{word} {}", escape(&plain(schema.get(key)?))))),
    );
    words.join(" ")
}

/// Returns the text at a JSON pointer.
fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Returns the object at a JSON pointer.
fn object<'a>(value: &'a Value, pointer: &str) -> &'a Map<String, Value> {
    static NOTHING: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
    value.pointer(pointer).and_then(Value::as_object).unwrap_or(&NOTHING)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Renders text as HTML, with text between backticks as code.
fn ticks(text: &str) -> String {
    let mut html = String::new();
    for (index, part) in text.split('`').enumerate() {
        let part = escape(part);
        if index % 2 == 1 {
            let _ = write!(html, "<code>{part}</code>");
        } else {
            html.push_str(&part);
        }
    }
    html
}

fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}

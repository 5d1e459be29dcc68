//! Free-form details of audit events, and their JSON text.

use core::fmt::{self, Write};

/// A tree of values, written to stores and responses as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detail {
    /// Null.
    Null,
    /// A boolean.
    Flag(bool),
    /// A count.
    Count(u64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Self>),
    /// Named values, in this order.
    Map(Vec<(&'static str, Self)>),
}

impl Detail {
    /// Returns the text of a displayable value, such as an id.
    pub fn text(value: impl fmt::Display) -> Self {
        Self::Text(value.to_string())
    }

    /// Returns a list of texts.
    pub fn texts<T: fmt::Display>(values: impl IntoIterator<Item = T>) -> Self {
        Self::List(values.into_iter().map(Self::text).collect())
    }

    /// Returns a text, or null.
    pub fn optional(value: Option<impl fmt::Display>) -> Self {
        value.map_or(Self::Null, Self::text)
    }

    /// Returns a count.
    pub fn count(number: usize) -> Self {
        Self::Count(u64::try_from(number).unwrap_or(u64::MAX))
    }

    /// Returns the compact JSON text.
    ///
    /// ```
    /// # use canopy_domain::audit::Detail;
    /// let detail = Detail::Map(vec![("ids", Detail::texts(["a", "b\n"])), ("force", Detail::Flag(true))]);
    /// assert_eq!(detail.to_json(), r#"{"ids":["a","b\n"],"force":true}"#);
    /// ```
    pub fn to_json(&self) -> String {
        let mut json = String::new();
        self.write_json(&mut json);
        json
    }

    fn write_json(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Flag(flag) => out.push_str(if *flag { "true" } else { "false" }),
            Self::Count(number) => out.push_str(&number.to_string()),
            Self::Text(text) => write_json_string(text, out),
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write_json(out);
                }
                out.push(']');
            }
            Self::Map(fields) => {
                out.push('{');
                for (index, (name, value)) in fields.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    write_json_string(name, out);
                    out.push(':');
                    value.write_json(out);
                }
                out.push('}');
            }
        }
    }
}

/// Writes a JSON string (RFC 8259, section 7): quotes, backslashes and control characters are escaped.
fn write_json_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x20 => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::Detail;

    #[test]
    fn strings_are_escaped() {
        assert_eq!(Detail::text("\u{1}\"\\ü\t").to_json(), r#""\u0001\"\\ü\t""#);
        let all = Detail::List(vec![
            Detail::Null,
            Detail::Flag(false),
            Detail::count(3),
            Detail::Map(vec![]),
        ]);
        assert_eq!(all.to_json(), "[null,false,3,{}]");
    }
}

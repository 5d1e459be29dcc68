//! Faults of single fields of a request, collected with their JSON pointers.

use crate::field_code::FIELD_CODES;
use canopy_domain::setup::CatalogLimits;
use core::fmt;
use serde::Serialize;
use std::borrow::Cow;

/// The default maximum number of items in a list of a request.
pub(crate) const MAX_ITEMS: usize = 10_000;

/// Maximum number of faults in a response; further ones are counted.
const MAX_LISTED: usize = 10_000;

/// Maximum size of the listed faults in a response, in bytes; further ones are counted.
const MAX_LISTED_BYTES: usize = 1024 * 1024;

/// Size of a fault without its three texts: the names of its members, quotes, colons and commas.
const BYTES_AROUND: usize = 40;

/// Maximum length of a name in a pointer: callers choose names, and every fault below one repeats it.
const MAX_NAME_CHARS: usize = 100;

/// A position in a body, as a JSON pointer (RFC 6901), or the name of a parameter. Rendered only for a fault.
#[derive(Clone, Copy)]
pub(crate) enum JsonPointer<'a> {
    /// The whole body.
    Root,
    /// A member of an object.
    Member(&'a JsonPointer<'a>, &'a str),
    /// An item of a list.
    Item(&'a JsonPointer<'a>, usize),
}

impl JsonPointer<'_> {
    /// Returns the number of lists and objects around it.
    pub(crate) fn depth(&self) -> usize {
        match self {
            Self::Root => 0,
            Self::Member(parent, _) | Self::Item(parent, _) => parent.depth() + 1,
        }
    }
}

impl fmt::Display for JsonPointer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Member(parent, name) => {
                write!(f, "{parent}/")?;
                let end = name.char_indices().nth(MAX_NAME_CHARS).map(|(end, _)| end);
                let (shown, cut) = match end.and_then(|end| name.get(..end)) {
                    Some(shown) => (shown, "…"),
                    None => (*name, ""),
                };
                if shown.contains(['~', '/']) {
                    f.write_str(&shown.replace('~', "~0").replace('/', "~1"))?;
                } else {
                    f.write_str(shown)?;
                }
                f.write_str(cut)
            }
            Self::Item(parent, index) => write!(f, "{parent}/{index}"),
        }
    }
}

/// The rule that a field breaks: a code for programs, a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: &'static str,
    pub(crate) message: Cow<'static, str>,
}

impl Fault {
    /// Creates a fault with one of [`FIELD_CODES`].
    pub(crate) fn new(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        debug_assert!(FIELD_CODES.contains(&code), "{code} is not in the list of field codes");
        Self {
            code,
            message: message.into(),
        }
    }

    pub(crate) fn wrong_type(expected: &'static str, found: &'static str) -> Self {
        Self::new("wrong_type", format!("must be {expected}, not {found}"))
    }

    pub(crate) fn too_many_values(max: usize) -> Self {
        let message = format!("must have at most {max} values, including nested ones");
        Self::new("too_many_values", message)
    }

    pub(crate) fn too_deep(max: usize) -> Self {
        Self::new("too_deep", format!("must be nested at most {max} levels"))
    }

    pub(crate) fn required() -> Self {
        Self::new("required", "is required")
    }

    pub(crate) fn unknown() -> Self {
        Self::new("unknown_field", "is unknown")
    }
}

/// A fault and its position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FieldFault {
    path: String,
    code: &'static str,
    message: Cow<'static, str>,
}

/// The faults of one request, and the limits that its lists are checked against.
#[derive(Debug)]
pub(crate) struct Faults {
    max_items: usize,
    catalogs: CatalogLimits,
    listed: Vec<FieldFault>,
    bytes: usize,
    omitted: usize,
    unsupported: bool,
}

impl Default for Faults {
    fn default() -> Self {
        Self::of_lists_up_to(MAX_ITEMS)
    }
}

impl Faults {
    /// Creates an empty set for a request whose bulk lists may have `max_items` items.
    pub(crate) fn of_lists_up_to(max_items: usize) -> Self {
        Self {
            max_items,
            catalogs: CatalogLimits::default(),
            listed: Vec::new(),
            bytes: 0,
            omitted: 0,
            unsupported: false,
        }
    }

    /// Sets the limits on catalogs.
    pub(crate) const fn of_catalogs_up_to(mut self, catalogs: CatalogLimits) -> Self {
        self.catalogs = catalogs;
        self
    }

    /// Returns the limits on catalogs.
    pub(crate) const fn catalogs(&self) -> CatalogLimits {
        self.catalogs
    }

    /// Returns the maximum number of items in the list of a bulk call.
    pub(crate) const fn max_items(&self) -> usize {
        self.max_items
    }

    /// Notes a fault.
    pub(crate) fn add(&mut self, place: &JsonPointer<'_>, fault: Fault) {
        if self.omitted > 0 || self.listed.len() == MAX_LISTED {
            self.omitted += 1;
            return;
        }
        self.add_at(place.to_string(), fault);
    }

    /// Notes a fault at a JSON pointer.
    pub(crate) fn add_at(&mut self, path: String, fault: Fault) {
        if self.omitted > 0 || self.listed.len() == MAX_LISTED {
            self.omitted += 1;
            return;
        }
        let bytes = escaped(&path) + fault.code.len() + escaped(&fault.message) + BYTES_AROUND;
        if self.bytes + bytes > MAX_LISTED_BYTES {
            self.omitted += 1;
            return;
        }
        self.bytes += bytes;
        self.listed.push(FieldFault {
            path,
            code: fault.code,
            message: fault.message,
        });
    }

    /// Notes a fault of a parameter of the path or query, or of a header.
    pub(crate) fn add_parameter(&mut self, name: &str, fault: Fault) {
        self.add(&JsonPointer::Member(&JsonPointer::Root, name), fault);
    }

    /// Notes a documented field of the original service that this one does not support.
    pub(crate) fn add_unsupported(&mut self, place: &JsonPointer<'_>) {
        self.unsupported = true;
        self.add(
            place,
            Fault::new("unsupported_field", "is not supported by this service"),
        );
    }

    /// Returns the value of a result, or notes its fault.
    pub(crate) fn keep<T>(&mut self, place: &JsonPointer<'_>, result: Result<T, impl Into<Fault>>) -> Option<T> {
        result.map_err(|fault| self.add(place, fault.into())).ok()
    }

    /// Counts faults that are not listed.
    pub(crate) const fn omit(&mut self, count: usize) {
        self.omitted += count;
    }

    /// Returns whether there are no faults.
    pub(crate) const fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// Returns whether there is an unsupported field.
    pub(crate) const fn has_unsupported(&self) -> bool {
        self.unsupported
    }

    /// Returns the first fault in one sentence.
    pub(crate) fn first(&self) -> Option<String> {
        let FieldFault { path, message, .. } = self.listed.first()?;
        Some(if path.is_empty() {
            format!("it {message}")
        } else {
            format!("{path} {message}")
        })
    }

    /// Returns the faults in the order in which they were found, and the number of omitted ones.
    pub(crate) fn into_parts(self) -> (Vec<FieldFault>, usize) {
        (self.listed, self.omitted)
    }
}

/// Returns an upper bound of the size of a text in JSON, in bytes.
fn escaped(text: &str) -> usize {
    let bytes = text.bytes();
    bytes
        .map(|byte| if matches!(byte, 0..0x20 | b'"' | b'\\') { 6 } else { 1 })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::{Fault, Faults, JsonPointer, MAX_LISTED, MAX_LISTED_BYTES};

    #[test]
    fn places_are_json_pointers() {
        let list = JsonPointer::Member(&JsonPointer::Root, "assignments");
        let item = JsonPointer::Item(&list, 3);
        assert_eq!(
            JsonPointer::Member(&item, "effective_to").to_string(),
            "/assignments/3/effective_to"
        );
        assert_eq!(JsonPointer::Member(&JsonPointer::Root, "a/b~c").to_string(), "/a~1b~0c");
        assert_eq!(JsonPointer::Root.to_string(), "");
    }

    #[test]
    fn the_list_is_bounded_and_says_so() {
        let mut faults = Faults::default();
        for _ in 0..MAX_LISTED + 5 {
            faults.add(&JsonPointer::Root, Fault::required());
        }
        let (listed, omitted) = faults.into_parts();
        assert_eq!((listed.len(), omitted), (MAX_LISTED, 5));
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        let name = "é/".repeat(80);
        let shown = JsonPointer::Member(&JsonPointer::Root, &name).to_string();
        assert_eq!(shown, format!("/{}…", "é~1".repeat(50)));
        let fits = "é".repeat(100);
        assert_eq!(
            JsonPointer::Member(&JsonPointer::Root, &fits).to_string(),
            format!("/{fits}")
        );
    }

    #[test]
    fn the_list_has_a_bounded_size_however_it_is_written() {
        for letter in ["\u{1}", "\"", "a", "𝄞"] {
            let (outer, inner) = (letter.repeat(5_000), letter.repeat(90));
            let mut faults = Faults::default();
            for _ in 0..MAX_LISTED {
                let outer = JsonPointer::Member(&JsonPointer::Root, &outer);
                faults.add(&JsonPointer::Member(&outer, &inner), Fault::unknown());
            }
            let (listed, omitted) = faults.into_parts();
            assert_eq!(listed.len() + omitted, MAX_LISTED);
            let written = serde_json::to_vec(&listed).unwrap().len();
            assert!(written <= MAX_LISTED_BYTES + MAX_LISTED, "{written}");
        }
    }
}

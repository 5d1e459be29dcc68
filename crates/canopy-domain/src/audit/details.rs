//! Details of audit events that exceed the size of the metadata.

use super::Detail;

/// Maximum size of a part in bytes. A larger entry is a part of its own.
pub const MAX_PART_BYTES: usize = 64 * 1024;

/// Packs entries into parts, in their order. Each part is a JSON array of at most [`MAX_PART_BYTES`].
///
/// ```
/// # use canopy_domain::audit::{Detail, details};
/// assert_eq!(details::parts(&[Detail::count(1), Detail::count(2)]), ["[1,2]"]);
/// assert!(details::parts(&[]).is_empty());
/// ```
pub fn parts(entries: &[Detail]) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    for entry in entries {
        let entry = entry.to_json();
        // The separator before the entry and the bracket that closes the array.
        if !part.is_empty() && part.len() + entry.len() + 2 > MAX_PART_BYTES {
            part.push(']');
            parts.push(core::mem::take(&mut part));
        }
        part.push(if part.is_empty() { '[' } else { ',' });
        part.push_str(&entry);
    }
    if !part.is_empty() {
        part.push(']');
        parts.push(part);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_bounded_and_keep_every_entry_in_order() {
        let entry = |number: usize| Detail::text(format!("{number:01000}"));
        let entries: Vec<Detail> = (0..200).map(entry).collect();
        let parts = parts(&entries);
        assert!(parts.iter().all(|part| part.len() <= MAX_PART_BYTES));
        assert_eq!(parts.len(), 4, "65 entries of 1,002 bytes fit a part");
        let inner = parts
            .iter()
            .filter_map(|part| part.strip_prefix('[')?.strip_suffix(']'));
        let inner: Vec<&str> = inner.collect();
        let whole = Detail::List(entries).to_json();
        assert_eq!(format!("[{}]", inner.join(",")), whole);
    }

    #[test]
    fn an_entry_of_any_size_is_kept() {
        let large = Detail::text("x".repeat(MAX_PART_BYTES * 2));
        let parts = parts(&[Detail::count(1), large, Detail::count(2)]);
        assert_eq!(parts.len(), 3);
    }
}

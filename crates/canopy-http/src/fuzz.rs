//! Parsers of untrusted input, exposed for fuzz tests. Not a stable interface.

use crate::cursor::{CursorKey, CursorScope};
use crate::wire::{Faults, Json, JsonPointer, Lists, MAX_VALUES, ObjectStream, QueryInput, QueryReader};

/// Returns the number of parser steps on this thread since the last call.
pub fn take_steps() -> usize {
    crate::wire::take_steps()
}

/// Parses a JSON text and writes it again; `None` if it is refused.
pub fn json(bytes: &[u8]) -> Option<String> {
    let json = Json::parse(bytes, MAX_VALUES).ok()?;
    serde_json::to_string(&json).ok()
}

/// Returns whether a text is accepted as JSON.
pub fn accepts_json(bytes: &[u8]) -> bool {
    Json::parse(bytes, MAX_VALUES).is_ok()
}

struct Count(usize);

impl Lists for Count {
    const NAMES: &'static [&'static str] = &["nodes"];

    fn item(&mut self, _: usize, _: &Json<'_>, _: &JsonPointer<'_>, _: &mut Faults) {
        self.0 += 1;
    }
}

/// Parses an object in pieces. Returns the number of items of its list `nodes`, unless the object is refused.
pub fn document(pieces: &[&[u8]]) -> Option<usize> {
    let mut faults = Faults::default();
    let mut stream = ObjectStream::new(Count(0));
    pieces
        .iter()
        .try_for_each(|piece| stream.push(piece, &mut faults))
        .ok()?;
    let ((), Count(items)) = stream.end(&mut faults, |_, _| ()).ok()?;
    faults.is_empty().then_some(items)
}

/// Decodes a query of a call without parameters. Returns the number of reported faults and of all faults.
pub fn query(text: &str) -> (usize, usize) {
    let mut faults = Faults::default();
    <() as QueryInput>::read(&QueryReader::decode(text), &mut faults);
    let (told, counted) = faults.into_parts();
    (told.len(), counted)
}

/// Returns the cursor of a position.
pub fn seal_cursor(secret: &[u8; 32], place: &[u8]) -> String {
    CursorKey::new(secret).seal(CursorScope::of("fuzz").done(), place)
}

/// Returns the position of a cursor.
pub fn open_cursor(secret: &[u8; 32], text: &str) -> Option<Vec<u8>> {
    CursorKey::new(secret).place(CursorScope::of("fuzz").done(), text)
}

//! The readers of what strangers send, by themselves, for tests with random input. Not a part of the interface: it changes at any time.

use crate::cursor::{CursorKey, CursorScope};
use crate::wire::{Faults, Json, JsonPointer, Lists, MAX_VALUES, ObjectStream, QueryInput, QueryReader};

/// The steps that readers have made on this thread since this was last called.
pub fn take_steps() -> usize {
    crate::wire::take_steps()
}

/// Reads a JSON text and writes it again; `None` for one that is refused.
pub fn json(bytes: &[u8]) -> Option<String> {
    let json = Json::parse(bytes, MAX_VALUES).ok()?;
    serde_json::to_string(&json).ok()
}

/// Reads a JSON text, and nothing else.
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

/// Reads an object in pieces; the number of items of its list `nodes`, unless it is refused.
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

/// Decodes a query of a call without parameters; the number of faults that are told and that are counted.
pub fn query(text: &str) -> (usize, usize) {
    let mut faults = Faults::default();
    <() as QueryInput>::read(&QueryReader::decode(text), &mut faults);
    let (told, counted) = faults.into_parts();
    (told.len(), counted)
}

/// Seals a place.
pub fn seal_cursor(secret: &[u8; 32], place: &[u8]) -> String {
    CursorKey::new(secret).seal(CursorScope::of("fuzz").done(), place)
}

/// Opens a cursor.
pub fn open_cursor(secret: &[u8; 32], text: &str) -> Option<Vec<u8>> {
    CursorKey::new(secret).place(CursorScope::of("fuzz").done(), text)
}

//! Large JSON objects, parsed as they arrive.
//!
//! The lists of a large document hold nearly all of it. Their items are parsed one by one and their text is dropped, so
//! parsing needs the memory of the largest item, not that of the document.

use super::field::{Fault, Faults, JsonPointer};
use super::json::{Json, JsonError, MAX_VALUES, Position};

/// Maximum size of the text of one item, and of all other members together.
const MAX_TEXT_BYTES: usize = 16 * 1024 * 1024;

/// Maximum number of members other than lists. The names of further members are ignored.
const MAX_MEMBERS: usize = 100;

/// Consumes the items of the lists of an object.
pub(crate) trait Lists {
    /// The names of the members whose items are consumed one by one.
    const NAMES: &'static [&'static str];

    /// Consumes an item of the list with this index among the names; notes its faults.
    fn item(&mut self, list: usize, json: &Json<'_>, place: &JsonPointer<'_>, faults: &mut Faults);
}

/// Parses one object from pieces of its text.
pub(crate) struct ObjectStream<L> {
    lists: L,
    step: Step,
    /// The name of the current member.
    name: String,
    /// The current list, and the index of its next item.
    list: (usize, usize),
    /// The names of the members so far.
    names: Vec<String>,
    /// The members other than lists, as text, with their positions.
    members: Vec<(String, Vec<u8>, Position)>,
    member_bytes: usize,
    scan: Scan,
    /// The current value.
    text: Vec<u8>,
    /// True if the value is too large, so that its rest is dropped.
    too_large: bool,
    /// The position of the value.
    begin: Position,
    /// The position of the next byte.
    at: Position,
}

/// The next part of the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Begin,
    FirstName,
    Name,
    Colon,
    Member,
    AfterMember,
    FirstItem,
    Item,
    AfterItem,
    End,
    /// In the middle of a value.
    Within(Kind),
}

/// A value that is parsed as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Name,
    Member,
    Item,
}

impl<L: Lists> ObjectStream<L> {
    pub(crate) fn new(lists: L) -> Self {
        Self {
            lists,
            step: Step::Begin,
            name: String::new(),
            list: (0, 0),
            names: Vec::new(),
            members: Vec::new(),
            member_bytes: 0,
            scan: Scan::default(),
            text: Vec::new(),
            too_large: false,
            begin: Position::START,
            at: Position::START,
        }
    }

    /// Parses the next piece.
    ///
    /// # Errors
    /// [`JsonError::Malformed`]; all other faults are noted.
    pub(crate) fn push(&mut self, piece: &[u8], faults: &mut Faults) -> Result<(), JsonError> {
        let mut rest = piece;
        while let Some(byte) = rest.first().copied() {
            let taken = match self.step {
                Step::Within(kind) => {
                    let (taken, ended) = self.scan.take(rest);
                    let bytes = rest.get(..taken).unwrap_or_default();
                    self.keep(kind, bytes);
                    self.at = self.at.behind(bytes);
                    if ended {
                        self.read(kind, faults)?;
                    }
                    taken
                }
                _ if matches!(byte, b' ' | b'\n' | b'\r' | b'\t') => self.pass(byte),
                Step::Begin if byte == b'{' => self.go(Step::FirstName, byte),
                Step::FirstName | Step::AfterMember if byte == b'}' => self.go(Step::End, byte),
                Step::FirstName | Step::Name if byte == b'"' => self.enter(Kind::Name, byte),
                Step::Colon if byte == b':' => self.go(Step::Member, byte),
                Step::Member => match L::NAMES.iter().position(|name| *name == self.name) {
                    Some(list) if byte == b'[' => {
                        self.list = (list, 0);
                        self.names.push(self.name.clone());
                        self.go(Step::FirstItem, byte)
                    }
                    _ => self.enter(Kind::Member, byte),
                },
                Step::AfterMember if byte == b',' => self.go(Step::Name, byte),
                Step::FirstItem | Step::AfterItem if byte == b']' => self.go(Step::AfterMember, byte),
                Step::FirstItem | Step::Item => self.enter(Kind::Item, byte),
                Step::AfterItem if byte == b',' => self.go(Step::Item, byte),
                _ => return Err(JsonError::Malformed(self.at)),
            };
            rest = rest.get(taken..).unwrap_or_default();
        }
        Ok(())
    }

    /// Parses the members other than lists as one object, in which the lists are present and empty.
    ///
    /// # Errors
    /// [`JsonError::Malformed`] if the object has not ended.
    pub(crate) fn end<T>(
        self,
        faults: &mut Faults,
        read: impl FnOnce(&Json<'_>, &mut Faults) -> T,
    ) -> Result<(T, L), JsonError> {
        if self.step != Step::End {
            return Err(JsonError::Malformed(self.at));
        }
        let mut members = Vec::with_capacity(self.names.len());
        for (name, text, begin) in &self.members {
            let place = JsonPointer::Member(&JsonPointer::Root, name);
            match Json::parse_at(text, MAX_VALUES, &place) {
                Ok(value) => members.push((name.as_str().into(), value)),
                Err(error) => note(within(error, *begin), &place, faults)?,
            }
        }
        let is_list =
            |name: &&String| L::NAMES.contains(&name.as_str()) && !self.members.iter().any(|(one, ..)| one == *name);
        let lists = self.names.iter().filter(is_list);
        members.extend(lists.map(|name| (name.as_str().into(), Json::Array(Vec::new()))));
        let read = read(&Json::Object(members), faults);
        Ok((read, self.lists))
    }

    fn pass(&mut self, byte: u8) -> usize {
        self.at = self.at.behind(&[byte]);
        1
    }

    fn go(&mut self, step: Step, byte: u8) -> usize {
        self.step = step;
        self.pass(byte)
    }

    /// Begins a value at this byte and consumes nothing.
    fn enter(&mut self, kind: Kind, byte: u8) -> usize {
        self.step = Step::Within(kind);
        self.scan = Scan::of(byte);
        self.begin = self.at;
        self.text.clear();
        self.too_large = false;
        0
    }

    fn keep(&mut self, kind: Kind, bytes: &[u8]) {
        let others = if kind == Kind::Member { self.member_bytes } else { 0 };
        if others + self.text.len() + bytes.len() > MAX_TEXT_BYTES {
            self.too_large = true;
            self.text = Vec::new();
        }
        if !self.too_large {
            self.text.extend_from_slice(bytes);
        }
    }

    /// Parses a complete value.
    fn read(&mut self, kind: Kind, faults: &mut Faults) -> Result<(), JsonError> {
        match kind {
            Kind::Name => {
                self.step = Step::Colon;
                // A value that is too long was replaced by an empty one, and is refused here.
                let read =
                    Json::parse_at(&self.text, 1, &JsonPointer::Root).map_err(|error| within(error, self.begin))?;
                let Json::String(name) = read else {
                    return Err(JsonError::Malformed(self.begin));
                };
                if self.names.iter().any(|other| *other == *name) {
                    return Err(JsonError::Malformed(self.begin));
                }
                self.name = name.into_owned();
            }
            Kind::Member => {
                self.step = Step::AfterMember;
                let place = JsonPointer::Member(&JsonPointer::Root, &self.name);
                if self.too_large {
                    faults.add(&place, too_large());
                } else if self.members.len() == MAX_MEMBERS {
                    faults.add(&place, Fault::unknown());
                    return Ok(());
                } else {
                    self.member_bytes += self.text.len();
                    let text = core::mem::take(&mut self.text);
                    self.members.push((self.name.clone(), text, self.begin));
                }
                self.names.push(core::mem::take(&mut self.name));
            }
            Kind::Item => {
                self.step = Step::AfterItem;
                let (list, index) = self.list;
                self.list.1 += 1;
                let list_place = JsonPointer::Member(&JsonPointer::Root, &self.name);
                let place = JsonPointer::Item(&list_place, index);
                if self.too_large {
                    faults.add(&place, too_large());
                    return Ok(());
                }
                match Json::parse_at(&self.text, MAX_VALUES, &place) {
                    Ok(json) => self.lists.item(list, &json, &place, faults),
                    Err(error) => note(within(error, self.begin), &place, faults)?,
                }
            }
        }
        Ok(())
    }
}

fn too_large() -> Fault {
    Fault::new("too_large", format!("must have at most {MAX_TEXT_BYTES} bytes"))
}

/// Returns the error with its position in the whole text.
fn within(error: JsonError, begin: Position) -> JsonError {
    match error {
        JsonError::Malformed(at) => JsonError::Malformed(begin.within(at)),
        JsonError::TooManyValues | JsonError::TooDeep { .. } => error,
    }
}

/// Notes the fault of a well-formed value.
fn note(error: JsonError, place: &JsonPointer<'_>, faults: &mut Faults) -> Result<(), JsonError> {
    match error {
        JsonError::Malformed(_) => return Err(error),
        JsonError::TooManyValues => faults.add(place, Fault::too_many_values(MAX_VALUES)),
        JsonError::TooDeep { path } => faults.add_at(path, Fault::too_deep(super::json::MAX_DEPTH)),
    }
    Ok(())
}

/// Finds the end of a value, well formed or not.
#[derive(Debug, Clone, Copy, Default)]
struct Scan {
    /// True for a number or word, which ends before the next mark or space.
    is_plain: bool,
    /// The number of open lists and objects.
    open: usize,
    in_string: bool,
    is_escaped: bool,
}

impl Scan {
    /// Starts a value with this byte.
    const fn of(byte: u8) -> Self {
        Self {
            is_plain: !matches!(byte, b'"' | b'{' | b'['),
            open: 0,
            in_string: false,
            is_escaped: false,
        }
    }

    /// Returns the number of bytes that belong to the value, and whether it ends after them.
    fn take(&mut self, bytes: &[u8]) -> (usize, bool) {
        for (index, byte) in bytes.iter().enumerate() {
            if self.is_plain {
                if matches!(byte, b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t') {
                    return (index, true);
                }
            } else if self.in_string {
                match byte {
                    _ if self.is_escaped => self.is_escaped = false,
                    b'\\' => self.is_escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
            } else {
                match byte {
                    b'"' => self.in_string = true,
                    b'{' | b'[' => self.open += 1,
                    b'}' | b']' => self.open = self.open.saturating_sub(1),
                    _ => {}
                }
            }
            if !self.is_plain && !self.in_string && self.open == 0 {
                return (index + 1, true);
            }
        }
        (bytes.len(), false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Keeps the items as text.
    #[derive(Debug, Default, PartialEq)]
    struct Kept(Vec<(usize, String, String)>);

    impl Lists for Kept {
        const NAMES: &'static [&'static str] = &["nodes", "roles"];

        fn item(&mut self, list: usize, json: &Json<'_>, place: &JsonPointer<'_>, _: &mut Faults) {
            self.0
                .push((list, place.to_string(), serde_json::to_string(json).unwrap()));
        }
    }

    type Outcome = Result<(String, Vec<(usize, String, String)>, String), JsonError>;

    fn read(pieces: &[&[u8]]) -> Outcome {
        let mut faults = Faults::default();
        let mut stream = ObjectStream::new(Kept::default());
        for piece in pieces {
            stream.push(piece, &mut faults)?;
        }
        let (head, lists) = stream.end(&mut faults, |json, _| serde_json::to_string(json).unwrap())?;
        Ok((head, lists.0, serde_json::to_string(&faults.into_parts().0).unwrap()))
    }

    const TEXT: &str = "{ \"v\" : 1.50,\n\"nodes\":[ {\"a\\\"]\":[1,{}]} , \"x,]\" ,-1e5\n], \"roles\":[],\"m\":{\"é\":[\"}\"]},\"last\":true}\n";

    #[test]
    fn items_come_one_by_one_and_the_rest_at_the_end() {
        let (head, items, faults) = read(&[TEXT.as_bytes()]).unwrap();
        assert_eq!(head, r#"{"v":1.50,"m":{"é":["}"]},"last":true,"nodes":[],"roles":[]}"#);
        let expected = [
            ("/nodes/0", "{\"a\\\"]\":[1,{}]}"),
            ("/nodes/1", "\"x,]\""),
            ("/nodes/2", "-1e5"),
        ];
        assert_eq!(
            items,
            expected.map(|(place, text)| (0, place.to_owned(), text.to_owned()))
        );
        assert_eq!(faults, "[]");
    }

    #[test]
    fn what_is_malformed_is_refused_where_it_is() {
        for (text, line, column) in [
            ("", 1, 1),
            ("[]", 1, 1),
            ("{\"nodes\":[1,\n 2,\n [01]]}", 3, 4),
            ("{\"nodes\":[1,]}", 1, 13),
            ("{\"nodes\":[1", 1, 12),
            ("{\"nodes\":[1],\"nodes\":[]}", 1, 14),
            ("{\"nodes\":[],\"nodes\":[]}", 1, 13),
            ("{\"a\":1,\"a\":2}", 1, 8),
            ("{\"a\":tru}", 1, 9),
            ("{} x", 1, 4),
            ("{\"a\" 1}", 1, 6),
            ("{,}", 1, 2),
        ] {
            let at = Position { line, column };
            assert_eq!(read(&[text.as_bytes()]), Err(JsonError::Malformed(at)), "{text}");
        }
    }

    #[test]
    fn what_is_too_large_or_too_deep_is_named_and_the_rest_is_read() {
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        let large = "x".repeat(MAX_TEXT_BYTES);
        let many = format!("[{}0]", "0,".repeat(MAX_VALUES));
        let text = format!("{{\"nodes\":[{deep},\"{large}\",{many},7],\"m\":\"{large}\"}}");
        let (head, items, faults) = read(&[text.as_bytes()]).unwrap();
        assert_eq!(
            (head.as_str(), items),
            ("{\"nodes\":[]}", vec![(0, "/nodes/3".to_owned(), "7".to_owned())])
        );
        let faults: serde_json::Value = serde_json::from_str(&faults).unwrap();
        let told: Vec<(String, &str)> = faults
            .as_array()
            .unwrap()
            .iter()
            .map(|fault| {
                (
                    fault["path"].as_str().unwrap().chars().take(8).collect(),
                    fault["code"].as_str().unwrap(),
                )
            })
            .collect();
        let expected = [
            ("/nodes/0", "too_deep"),
            ("/nodes/1", "too_large"),
            ("/nodes/2", "too_many_values"),
            ("/m", "too_large"),
        ];
        assert_eq!(told, expected.map(|(path, code)| (path.to_owned(), code)));
    }

    proptest! {
        #[test]
        fn where_the_pieces_end_makes_no_difference(
            mut ends in prop::collection::vec(0..TEXT.len(), 0..8),
            spoiled in prop::option::of((0..TEXT.len(), any::<u8>())),
        ) {
            let mut text = TEXT.as_bytes().to_vec();
            if let Some((index, byte)) = spoiled {
                text[index] = byte;
            }
            ends.sort_unstable();
            ends.push(text.len());
            let mut pieces = Vec::new();
            let mut begin = 0;
            for end in ends {
                pieces.push(&text[begin..end]);
                begin = end;
            }
            prop_assert_eq!(read(&pieces), read(&[&text]));
        }

        /// Tests that both readers accept the same texts.
        #[test]
        fn it_accepts_what_the_reader_of_whole_texts_accepts(spoiled in prop::option::of((0..TEXT.len(), any::<u8>()))) {
            let mut text = TEXT.as_bytes().to_vec();
            if let Some((index, byte)) = spoiled {
                text[index] = byte;
            }
            let whole = Json::parse(&text, MAX_VALUES);
            prop_assert_eq!(read(&[&text]).is_ok(), whole.is_ok(), "{}", String::from_utf8_lossy(&text));
        }
    }
}

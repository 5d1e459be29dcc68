//! Random and hostile input for the readers of what strangers send: what they accept, and that memory and steps grow with the input, no faster.

use canopy_domain::hierarchy::names::NodeNames;
use canopy_domain::transfer::SlugPath;
use canopy_http::fuzz;
use proptest::prelude::*;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Allocations are counted for the process, so tests take turns.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The bytes that work allocates, and its steps. All threads of the process share the count, the test runner's among them, so
/// the smallest of a few runs is the one that counts.
fn cost(work: impl Fn()) -> (usize, usize) {
    let once = || {
        fuzz::take_steps();
        let region = Region::new(ALLOCATOR);
        work();
        (region.change().bytes_allocated, fuzz::take_steps())
    };
    let costs = [once(), once(), once()];
    let bytes = costs.iter().map(|(bytes, _)| *bytes).min().unwrap_or_default();
    (bytes, costs[0].1)
}

/// Twice the input costs about twice as much, and no input more than so many bytes for each of its own.
fn assert_linear(name: &str, bytes_per_byte: usize, make: impl Fn(usize) -> String, read: impl Fn(&str)) {
    let (small, large) = (make(20_000), make(40_000));
    let (one, two) = (cost(|| read(&small)), cost(|| read(&large)));
    assert!(two.0 <= 5 * one.0 / 2 + 4_096, "{name}: {one:?} {two:?}");
    assert!(two.1 <= 5 * one.1 / 2 + 4_096, "{name}: {one:?} {two:?}");
    assert!(
        two.0 <= bytes_per_byte * large.len() + 4_096,
        "{name}: {two:?} for {}",
        large.len()
    );
}

const TEXT: &str =
    r#"{"nodes":[{"a":[1,-2.5e+3,0.1],"b":"\u00e9\n","c":{"d":null,"e":true}},{},[],"é"],"f":{"g":[false]}}"#;

/// Valid texts with some bytes changed, and pieces of JSON in any order.
fn any_text() -> impl Strategy<Value = Vec<u8>> {
    let spoiled = prop::collection::vec((0..TEXT.len(), any::<u8>()), 0..3).prop_map(|changes| {
        let mut text = TEXT.as_bytes().to_vec();
        for (at, byte) in changes {
            text.splice(at..=at, [byte]);
        }
        text
    });
    let tokens = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"a\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ud83d\"",
        "\"\\x\"",
        "\"",
        "0",
        "-",
        "01",
        "1e5",
        "1.",
        ".5",
        "true",
        "nul",
        " ",
        "\n",
        "\u{1}",
        "é",
    ];
    let jumbled =
        prop::collection::vec(prop::sample::select(tokens.to_vec()), 0..12).prop_map(|some| some.concat().into_bytes());
    prop_oneof![spoiled, jumbled]
}

proptest! {
    #[test]
    fn texts_are_accepted_as_by_serde_json(text in any_text()) {
        let _turn = alone();
        let ours = fuzz::json(&text);
        let theirs = serde_json::from_slice::<serde_json::Value>(&text);
        match (&ours, &theirs) {
            // Numbers past every float are well formed.
            (Some(ours), Err(_)) => {
                let checked = core::str::from_utf8(&text).ok().map(serde_json::from_str::<serde::de::IgnoredAny>);
                prop_assert!(checked.is_some_and(|checked| checked.is_ok()), "{ours}");
            }
            // Of the same keys, the last remains.
            (None, Ok(value)) => {
                let once = serde_json::to_string(value).unwrap();
                prop_assert!(fuzz::json(once.as_bytes()).is_some(), "{once}");
                prop_assert!(once.matches(':').count() < text.split(|byte| *byte == b':').skip(1).count());
            }
            (Some(ours), Ok(value)) => {
                let again: serde_json::Value = serde_json::from_str(ours).unwrap();
                prop_assert_eq!(&again, value);
            }
            (None, Err(_)) => {}
        }
        if let Some(ours) = ours {
            prop_assert_eq!(fuzz::json(ours.as_bytes()), Some(ours));
        }
    }

    #[test]
    fn documents_in_pieces_are_accepted_as_whole_ones(text in any_text(), cut in any::<prop::sample::Index>()) {
        let _turn = alone();
        let (one, two) = text.split_at(cut.index(text.len() + 1));
        let accepted = fuzz::document(&[one, two]);
        prop_assert_eq!(accepted, fuzz::document(&[&text]));
        let whole = fuzz::json(&text).filter(|text| text.starts_with('{'));
        prop_assert_eq!(accepted.is_some(), whole.is_some());
    }

    #[test]
    fn queries_tell_or_count_every_parameter(text in "[a-z%&=+0-9é]{0,60}") {
        let _turn = alone();
        let (told, counted) = fuzz::query(&text);
        prop_assert_eq!(told + counted, text.split('&').filter(|part| !part.is_empty()).count());
    }

    #[test]
    fn only_cursors_that_were_given_out_open(
        place in prop::collection::vec(any::<u8>(), 0..64),
        at in any::<prop::sample::Index>(),
        other in "[A-Za-z0-9_-]",
        noise in "[A-Za-z0-9_=+/-]{0,80}",
    ) {
        let _turn = alone();
        let cursor = fuzz::seal_cursor(&[7; 32], &place);
        prop_assert_eq!(fuzz::open_cursor(&[7; 32], &cursor), Some(place));
        prop_assert_eq!(fuzz::open_cursor(&[8; 32], &cursor), None);
        prop_assert_eq!(fuzz::open_cursor(&[7; 32], &noise), None);
        let mut changed = cursor.clone();
        let at = at.index(cursor.len());
        changed.replace_range(at..=at, &other);
        if changed != cursor {
            prop_assert_eq!(fuzz::open_cursor(&[7; 32], &changed), None);
        }
    }

    #[test]
    fn names_of_nodes_are_paths_or_nothing(name in "[a-c/A-]{0,12}") {
        let _turn = alone();
        let mut names = NodeNames::default();
        names.add(None, &name);
        let slug = |slug: &str| !slug.is_empty() && !slug.starts_with('-') && !slug.ends_with('-') && !slug.contains('A');
        prop_assert_eq!(names.is_empty(), !name.split('/').all(slug));
        if let Ok(path) = SlugPath::parse(&name) {
            prop_assert_eq!(path.as_str(), name);
        }
    }
}

#[test]
fn the_cost_of_a_text_grows_with_its_length() {
    let _turn = alone();
    let read = |text: &str| assert!(fuzz::accepts_json(text.as_bytes()));
    let list = |item: &str, count: usize| format!("[{item}{}]", format!(",{item}").repeat(count - 1));
    let keys = |count: usize| {
        let entries: Vec<String> = (0..count / 10).map(|n| format!("\"k{n:06}\":0")).collect();
        format!("{{{}}}", entries.join(","))
    };
    // A list that grows is copied on the way, so it is counted twice.
    assert_linear("numbers", 100, |size| list("0", size / 2), read);
    assert_linear("lists", 100, |size| list("[]", size / 3), read);
    assert_linear("objects", 100, |size| list("{\"a\":{}}", size / 9), read);
    assert_linear("escapes", 100, |size| list("\"\\n\"", size / 5), read);
    assert_linear("keys", 100, keys, read);
    assert_linear("a long string", 1, |size| format!("\"{}\"", "x".repeat(size)), read);
    assert_linear(
        "a long string of escapes",
        4,
        |size| format!("\"{}\"", "\\n".repeat(size / 2)),
        read,
    );
    // What is refused costs no more.
    let refused = |text: &str| assert!(!fuzz::accepts_json(text.as_bytes()));
    assert_linear("nesting", 1, |size| "[".repeat(size), refused);
    assert_linear(
        "the same key",
        100,
        |size| keys(size).replace("k000001", "k000000"),
        refused,
    );
}

#[test]
fn a_document_in_pieces_takes_the_memory_of_an_item() {
    let _turn = alone();
    let document = |items: usize| format!("{{\"nodes\":[{{}}{}]}}", ",{\"a\":[1,2,{}]}".repeat(items - 1));
    let read = |text: &str| {
        let pieces: Vec<&[u8]> = text.as_bytes().chunks(1_000).collect();
        assert!(fuzz::document(&pieces).is_some());
    };
    // What is allocated in all, most of it for a moment.
    assert_linear("items", 40, |size| document(size / 15), read);
    // The text of an item is kept in one place: no allocation is larger than a few items.
    let text = document(20_000);
    let region = Region::new(ALLOCATOR);
    assert_eq!(fuzz::document(&[text.as_bytes()]), Some(20_000));
    let change = region.change();
    assert!(change.bytes_allocated / change.allocations < 200, "{change:?}");
}

#[test]
fn the_cost_of_a_query_grows_with_its_length() {
    let _turn = alone();
    assert_linear(
        "parameters",
        200,
        |size| "a=%41&".repeat(size / 6),
        |text| assert_ne!(fuzz::query(text), (0, 0)),
    );
    assert_linear(
        "one value",
        8,
        |size| format!("a={}", "%41".repeat(size / 3)),
        |text| assert_ne!(fuzz::query(text), (0, 0)),
    );
}

#[test]
fn cursors_and_paths_that_are_too_long_cost_nothing() {
    let _turn = alone();
    let long = "a/".repeat(4 * 1024 * 1024);
    for (name, work) in [
        ("path", &(|| assert!(SlugPath::parse(&long).is_err())) as &dyn Fn()),
        ("name", &|| NodeNames::default().add(None, &long)),
        ("cursor", &|| assert_eq!(fuzz::open_cursor(&[7; 32], &long), None)),
    ] {
        let (bytes, _) = cost(work);
        assert!(bytes < 4_096, "{name}: {bytes}");
    }
    let longest = "a/".repeat(SlugPath::MAX_CHARS / 2) + "a";
    let (bytes, _) = cost(|| assert!(SlugPath::parse(&longest).is_ok()));
    assert!(bytes <= 2 * longest.len(), "{bytes}");
}

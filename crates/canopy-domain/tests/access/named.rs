//! Indexes by names: answers, live changes, ids, revisions, and the message for each wrong name.

use crate::facts::{at, window};
use canopy_domain::Revision;
use canopy_domain::access::AccessIndex;
use canopy_domain::access::named::{IdKind, IndexBuilder, NameError, NamedIndex};
use canopy_domain::uuid::Uuid;
use std::collections::HashSet;
use std::sync::{Arc, RwLock};

fn company() -> IndexBuilder {
    AccessIndex::builder()
        .grant("ada", "editor", "acme/eu")
        .role("Editor", ["note.read", "note.write"])
        .role("Viewer", ["note.read"])
        .permission("note.read")
        .permission("note.write")
        .node("acme/eu/berlin")
        .node("acme/us")
        .identity("bob")
}

fn built() -> NamedIndex {
    company().build().unwrap()
}

fn reason(index: &NamedIndex, identity: &str, permission: &str, node: &str) -> String {
    let decision = index.decide(identity, permission, node, at(0));
    decision
        .denial_reason()
        .map_or("granted".to_owned(), |reason| reason.to_string())
}

#[test]
fn questions_are_answered_by_name() {
    let index = built();
    for (identity, permission, node, expected) in [
        ("ada", "note.write", "acme/eu", "granted"),
        ("ada", "note.write", "acme/eu/berlin", "granted"),
        ("ada", "note.write", "acme", "no_grant"),
        ("ada", "note.write", "acme/us", "no_grant"),
        ("bob", "note.read", "acme", "no_grant"),
        ("eve", "note.read", "acme", "identity_not_found"),
        ("", "note.read", "acme", "identity_not_found"),
        ("ada", "note.share", "acme/eu", "permission_not_found"),
        ("ada", "note.read", "acme/eu/paris", "node_not_found"),
        ("ada", "note.read", "acme/eu/", "node_not_found"),
        ("eve", "note.share", "nowhere", "identity_not_found"),
    ] {
        let asked = format!("{identity} {permission} {node}");
        assert_eq!(reason(&index, identity, permission, node), expected, "{asked}");
        assert_eq!(
            index.can(identity, permission, node, at(0)),
            expected == "granted",
            "{asked}"
        );
    }
    assert!(index.decide_anywhere("ada", "note.write", at(0)).is_allowed());
    assert!(!index.decide_anywhere("bob", "note.write", at(0)).is_allowed());
    let keys = index.permissions("ada", "acme/eu/berlin", at(0));
    assert_eq!(
        keys.iter().map(|key| key.as_str()).collect::<Vec<_>>(),
        ["note.read", "note.write"]
    );
    assert_eq!(
        index.nodes_where("ada", "note.read", at(0)),
        ["acme/eu", "acme/eu/berlin"]
    );
    assert_eq!(index.who_can("note.read", "acme/eu/berlin", at(0)), ["ada"]);
    let why = index.explain("ada", "note.write", "acme/eu/berlin", at(0));
    assert_eq!(index.path_of(why.grants[0].node), Some("acme/eu"));
    assert_eq!(why.grants[0].role_name.as_str(), "Editor");
}

#[test]
fn changes_hold_from_the_next_question_on() {
    let mut index = built();
    index.grant("bob", "Viewer", "acme").unwrap();
    assert!(index.can("bob", "note.read", "acme/us", at(0)));
    index
        .grant_during("bob", "Viewer", "acme", window(10, Some(20)))
        .unwrap();
    assert_eq!(reason(&index, "bob", "note.read", "acme/us"), "assignment_scheduled");
    assert!(index.can("bob", "note.read", "acme/us", at(10)));
    index.revoke("bob", "VIEWER", "acme").unwrap();
    assert_eq!(reason(&index, "bob", "note.read", "acme/us"), "no_grant");

    index.move_node("acme/eu", "acme/us").unwrap();
    assert!(index.can("ada", "note.write", "acme/us/eu/berlin", at(0)));
    assert_eq!(reason(&index, "ada", "note.write", "acme/eu/berlin"), "node_not_found");
    index.add_node("acme/eu").unwrap();
    assert_eq!(reason(&index, "ada", "note.write", "acme/eu"), "no_grant");

    index.set_identity_active("ada", false).unwrap();
    assert_eq!(reason(&index, "ada", "note.write", "acme/us/eu"), "identity_inactive");
    index.set_identity_active("ada", true).unwrap();
    index.set_node_active("acme/us", false).unwrap();
    assert_eq!(reason(&index, "ada", "note.write", "acme/us/eu"), "node_inactive");
    index.set_node_active("acme/us", true).unwrap();

    index.add_permission("note.share").unwrap();
    index.set_role("Editor", ["note.share"]).unwrap();
    assert_eq!(reason(&index, "ada", "note.share", "acme/us/eu"), "granted");
    assert_eq!(reason(&index, "ada", "note.write", "acme/us/eu"), "no_grant");

    index.remove_identity("ada").unwrap();
    assert_eq!(reason(&index, "ada", "note.share", "acme/us/eu"), "identity_not_found");
    index.remove_role("Editor").unwrap();
    index.remove_node("acme/us/eu/berlin").unwrap();
    index.grant("ada", "Viewer", "acme/us/eu").unwrap();
    assert_eq!(reason(&index, "ada", "note.read", "acme/us/eu"), "granted");
}

#[test]
fn each_wrong_name_of_a_builder_is_named() {
    for (builder, message) in [
        (
            company().permission("read"),
            "`read` is not a permission key: must have two or more segments, separated by dots",
        ),
        (
            company().role("Owner", ["note.wirte"]),
            "role `Owner` bundles permission `note.wirte`, which does not exist",
        ),
        (
            company().role(" ", ["note.read"]),
            "` ` is not a role name: must not be empty",
        ),
        (company().role("EDITOR", ["note.read"]), "role `EDITOR` is given twice"),
        (
            company().node("acme/EU"),
            "`acme/EU` is not the path of a node: a part of it must be 1 to 100 characters of a-z, 0-9 and `-`, with no `-` at \
             either end",
        ),
        (
            company().node("acem/eu"),
            "`acem/eu` does not begin with the root `acme`",
        ),
        (company().identity(""), "the name of an identity must not be empty"),
        (company().grant("ada", "Edtor", "acme"), "role `Edtor` does not exist"),
        (
            company().grant("ada", "Editor", "acme/uk"),
            "node `acme/uk` does not exist",
        ),
        (
            company().grant("", "Editor", "acme"),
            "the name of an identity must not be empty",
        ),
    ] {
        assert_eq!(builder.build().unwrap_err().to_string(), message);
    }
}

#[test]
fn a_refused_change_says_which_name_is_wrong_and_changes_nothing() {
    type Refused = (fn(&mut NamedIndex) -> Result<(), NameError>, &'static str);
    let refused: [Refused; 15] = [
        (
            |i| i.add_permission("x"),
            "`x` is not a permission key: must have two or more segments, separated by dots",
        ),
        (
            |i| i.set_role("Viewer", ["no.such"]),
            "role `Viewer` bundles permission `no.such`, which does not exist",
        ),
        (|i| i.remove_role("Owner"), "role `Owner` does not exist"),
        (|i| i.remove_role("Editor"), "role `Editor` has grants"),
        (|i| i.add_node("other"), "`other` does not begin with the root `acme`"),
        (
            |i| i.move_node("acme/eu", "acme/eu/berlin"),
            "node `acme/eu` cannot move below `acme/eu/berlin`",
        ),
        (
            |i| i.move_node("acme", "acme/us"),
            "node `acme` cannot move below `acme/us`",
        ),
        (|i| i.move_node("acme/uk", "acme"), "node `acme/uk` does not exist"),
        (|i| i.move_node("acme/eu", "acme/uk"), "node `acme/uk` does not exist"),
        (
            |i| i.remove_node("acme"),
            "node `acme` has nodes below it or grants at it",
        ),
        (|i| i.remove_identity("eve"), "identity `eve` does not exist"),
        (|i| i.grant("eve", "Owner", "acme"), "role `Owner` does not exist"),
        (|i| i.grant("eve", "Viewer", "acme/uk"), "node `acme/uk` does not exist"),
        (|i| i.revoke("eve", "Viewer", "acme"), "identity `eve` does not exist"),
        (
            |i| i.revoke("ada", "Editor", "acme"),
            "`ada` has no grant of role `Editor` at `acme` itself",
        ),
    ];
    for (change, message) in refused {
        let mut index = built();
        assert_eq!(change(&mut index).unwrap_err().to_string(), message);
        assert_eq!(index.revision(), Revision::new(1), "{message}");
        assert_eq!(index.identity_id("eve"), None, "{message}");
        assert_eq!(
            reason(&index, "ada", "note.write", "acme/eu/berlin"),
            "granted",
            "{message}"
        );
    }
    let mut index = company().node("acme/us/eu").build().unwrap();
    let taken = index.move_node("acme/eu", "acme/us").unwrap_err();
    assert_eq!(taken.to_string(), "node `acme/us/eu` already exists");
    assert!(index.can("ada", "note.write", "acme/eu/berlin", at(0)));
}

#[test]
fn the_same_calls_make_the_same_ids() {
    let (one, two) = (built(), built());
    for name in ["ada", "bob"] {
        assert_eq!(one.identity_id(name), two.identity_id(name));
        assert_eq!(one.identity_id(name).and_then(|id| one.identity_of(id)), Some(name));
    }
    let paths = ["acme", "acme/eu", "acme/eu/berlin", "acme/us"];
    let ids: HashSet<_> = paths.iter().map(|path| one.node_id(path).unwrap()).collect();
    assert_eq!(ids.len(), paths.len());
    assert_eq!(
        one.node_id("acme/eu").unwrap().to_string(),
        "00000004-0000-8000-8000-000000000007"
    );
}

/// An id from a kind and the sum of the bytes of a name: names with the same letters share one.
fn by_letters(kind: IdKind, name: &str) -> Uuid {
    let letters: u128 = name.bytes().map(u128::from).sum();
    Uuid::from_u128(((kind as u128 + 1) << 64) | letters)
}

#[test]
fn ids_of_the_caller_are_used_and_must_differ() {
    let mut index = company().ids(by_letters).build().unwrap();
    let ada = by_letters(IdKind::Identity, "ada");
    assert_eq!(index.identity_id("ada").map(|id| id.as_uuid()), Some(ada));
    // What is gone gives its id back.
    index.revoke("ada", "Editor", "acme/eu").unwrap();
    index.grant("ada", "Editor", "acme/eu").unwrap();
    assert!(index.can("ada", "note.write", "acme/eu", at(0)));

    let error = company().identity("aad").ids(by_letters).build().unwrap_err();
    let name = "ada".to_owned();
    assert_eq!(error, NameError::Id { id: ada, name });
    let nil = company().ids(|_, _| Uuid::nil()).build().unwrap_err();
    assert_eq!(
        nil.to_string(),
        "the id 00000000-0000-0000-0000-000000000000 of `` is taken or nil"
    );
}

#[test]
fn a_change_whose_id_is_refused_changes_nothing() {
    let ids = |kind, name: &str| by_letters(kind, if name == "acme/q/r" { "acme" } else { name });
    let mut index = company().ids(ids).build().unwrap();
    let error = index.add_node("acme/q/r").unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the id {} of `acme/q/r` is taken or nil",
            by_letters(IdKind::Node, "acme")
        )
    );
    assert_eq!((index.node_id("acme/q"), index.revision()), (None, Revision::new(1)));
    index.add_node("acme/q").unwrap();
    assert!(index.grant("aad", "Editor", "acme").is_err());
    assert_eq!(index.identity_id("aad"), None);
}

#[test]
fn each_change_takes_a_revision_unless_the_caller_numbers_them() {
    let mut index = built();
    index.grant("bob", "Viewer", "acme").unwrap();
    index.grant("eve", "Viewer", "acme").unwrap();
    index.add_node("acme").unwrap();
    assert_eq!(index.revision(), Revision::new(3), "what is there already is no change");

    let mut index = company().revision(Revision::new(70)).build().unwrap();
    index.grant("bob", "Viewer", "acme").unwrap();
    index.grant("eve", "Viewer", "acme").unwrap();
    assert_eq!(index.revision(), Revision::new(70));
    index.set_revision(Revision::new(75)).unwrap();
    let back = index.set_revision(Revision::new(74)).unwrap_err();
    assert_eq!(
        back.to_string(),
        "the index is at revision 75, and cannot go back to 74"
    );
}

#[test]
fn threads_share_an_index() {
    let index = Arc::new(RwLock::new(built()));
    let other = Arc::clone(&index);
    std::thread::spawn(move || other.write().unwrap().grant("bob", "Viewer", "acme").unwrap())
        .join()
        .unwrap();
    assert!(index.read().unwrap().can("bob", "note.read", "acme", at(0)));
}

#[test]
fn an_empty_index_denies() {
    let mut index = AccessIndex::builder().build().unwrap();
    assert_eq!(reason(&index, "ada", "note.read", "acme"), "identity_not_found");
    // The first node decides the root, also after the last one went.
    index.add_node("acme").unwrap();
    index.remove_node("acme").unwrap();
    index.add_node("other/team").unwrap();
    assert!(index.node_id("other").is_some());
}

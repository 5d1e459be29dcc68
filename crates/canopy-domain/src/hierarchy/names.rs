//! External names of nodes: the id, the path of slugs from the root, or the slug if it is unique.

use super::{NodeId, NodeType};
use crate::slug_path::SlugPath;
use crate::{Resolution, Slug};
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// Returns the id that a name is, if it is one.
pub fn as_id(name: &str) -> Option<NodeId> {
    if name.len() == 36 {
        Uuid::try_parse(name).ok().map(NodeId::new)
    } else {
        None
    }
}

/// A slug among the nodes of a type, or among all nodes.
pub type SlugAmong = (Option<NodeType>, Slug);

/// Names to look up, other than ids.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeNames {
    /// Paths from the root.
    pub paths: HashSet<SlugPath>,
    /// Slugs among the nodes of a type, or among all nodes.
    pub slugs: HashSet<SlugAmong>,
}

impl NodeNames {
    /// Adds a name among the nodes of a type, or among all; skips a name that no node can have.
    pub fn add(&mut self, of_type: Option<&NodeType>, name: &str) {
        if name.len() > SlugPath::MAX_CHARS {
            return;
        }
        if let Ok(path) = SlugPath::parse(name) {
            self.slugs
                .extend(Slug::parse(name).ok().map(|slug| (of_type.cloned(), slug)));
            self.paths.insert(path);
        }
    }

    /// Returns whether the other set has all these names too.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.paths.is_subset(&other.paths) && self.slugs.is_subset(&other.slugs)
    }

    /// Returns whether there is no name that a node could have.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }
}

/// The result of a look-up of names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodesByName {
    /// The found paths and their nodes.
    pub paths: HashMap<SlugPath, NodeId>,
    /// The found slugs and their nodes.
    pub slugs: HashMap<SlugAmong, Resolution<NodeId>>,
}

impl NodesByName {
    /// Resolves a name among the nodes of a type, or among all nodes. A path has precedence over a slug; `is_such`
    /// returns whether a node is of the type.
    pub fn meaning(
        &self,
        of_type: Option<&NodeType>,
        name: &str,
        is_such: impl Fn(NodeId) -> bool,
    ) -> Resolution<NodeId> {
        if name.len() > SlugPath::MAX_CHARS {
            return Resolution::NotFound;
        }
        let path = SlugPath::parse(name).ok();
        let by_path = path.and_then(|path| self.paths.get(&path).copied());
        if let Some(node) = by_path.filter(|node| is_such(*node)) {
            return Resolution::Unique(node);
        }
        let slug = Slug::parse(name).ok().map(|slug| (of_type.cloned(), slug));
        let found = slug.and_then(|slug| self.slugs.get(&slug).copied());
        match found.unwrap_or(Resolution::NotFound) {
            Resolution::Unique(node) if !is_such(node) => Resolution::NotFound,
            meaning => meaning,
        }
    }
}

/// A node with its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedNode {
    /// Its id.
    pub id: NodeId,
    /// Its type.
    pub node_type: NodeType,
    /// Its path from the root.
    pub path: SlugPath,
    /// True if no other node of its type has its slug.
    pub is_only_of_type: bool,
    /// True if no other node has its slug.
    pub is_only: bool,
}

impl NamedNode {
    /// Returns its name in a list of nodes of its type, or of all nodes: its slug if that is unique there, otherwise
    /// its path. A slug that parses as an id would be read as one, so its path is used.
    pub fn shown(&self, among_all: bool) -> String {
        let is_only = if among_all { self.is_only } else { self.is_only_of_type };
        let slug = self.path.last();
        match as_id(slug) {
            Some(_) if self.path.depth() == 1 => self.id.to_string(),
            None if is_only => slug.to_owned(),
            _ => self.path.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> NodeId {
        NodeId::new(Uuid::from_u128(number))
    }

    fn slug(text: &str) -> Slug {
        Slug::parse(text).unwrap()
    }

    fn path(text: &str) -> SlugPath {
        SlugPath::parse(text).unwrap()
    }

    fn team() -> NodeType {
        NodeType::parse("team").unwrap()
    }

    #[test]
    fn a_name_is_asked_about_as_path_and_as_slug() {
        let mut names = NodeNames::default();
        for bad in ["", "/", "acme/", "/acme", "Acme", "a//b", "a b"] {
            names.add(Some(&team()), bad);
        }
        assert!(names.is_empty());
        // A name longer than any path is not even split.
        names.add(None, &"a/".repeat(SlugPath::MAX_CHARS).replace("/a", "/b"));
        names.add(None, &"a".repeat(SlugPath::MAX_CHARS + 1));
        assert!(names.is_empty());
        names.add(Some(&team()), "acme/eu");
        names.add(Some(&team()), "berlin");
        names.add(None, "berlin");
        assert_eq!(names.paths, HashSet::from([path("acme/eu"), path("berlin")]));
        let expected = HashSet::from([(Some(team()), slug("berlin")), (None, slug("berlin"))]);
        assert_eq!(names.slugs, expected);
    }

    #[test]
    fn a_path_goes_before_a_slug_and_both_are_of_the_type() {
        let found = NodesByName {
            paths: HashMap::from([(path("acme"), id(1)), (path("acme/eu"), id(2))]),
            slugs: HashMap::from([
                ((Some(team()), slug("acme")), Resolution::Unique(id(3))),
                ((None, slug("acme")), Resolution::Ambiguous),
                ((Some(team()), slug("sales")), Resolution::Ambiguous),
            ]),
        };
        let is_team = |node: NodeId| node != id(1);
        let team = team();
        for (of_type, name, meaning) in [
            (None, "acme", Resolution::Unique(id(1))),
            (Some(&team), "acme", Resolution::Unique(id(3))),
            (Some(&team), "acme/eu", Resolution::Unique(id(2))),
            (None, "acme/eu", Resolution::Unique(id(2))),
            (None, "acme/us", Resolution::NotFound),
            (Some(&team), "sales", Resolution::Ambiguous),
            (None, "sales", Resolution::NotFound),
            (None, "Not A Slug", Resolution::NotFound),
        ] {
            let is_such = |node| of_type.is_none() || is_team(node);
            assert_eq!(found.meaning(of_type, name, is_such), meaning, "{of_type:?} {name}");
        }
        assert_eq!(found.meaning(Some(&team), "acme", |_| false), Resolution::NotFound);
    }

    #[test]
    fn a_node_is_shown_by_the_shortest_name_that_leads_back_to_it() {
        let uuid = "0198a7b1-7c3e-7000-8000-000000000001";
        for (at, is_only_of_type, is_only, of_type, among_all) in [
            ("acme/eu", true, true, "eu", "eu"),
            ("acme/eu", true, false, "eu", "acme/eu"),
            ("acme/eu", false, false, "acme/eu", "acme/eu"),
            ("acme", false, false, "acme", "acme"),
            (
                &format!("acme/{uuid}"),
                true,
                true,
                &format!("acme/{uuid}"),
                &format!("acme/{uuid}"),
            ),
            (uuid, true, true, &id(7).to_string(), &id(7).to_string()),
        ] {
            let node = NamedNode {
                id: id(7),
                node_type: team(),
                path: path(at),
                is_only_of_type,
                is_only,
            };
            assert_eq!(
                (node.shown(false).as_str(), node.shown(true).as_str()),
                (of_type, among_all),
                "{at}"
            );
        }
    }
}

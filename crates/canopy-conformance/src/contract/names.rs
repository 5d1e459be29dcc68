//! Clauses on external names of identities and nodes.

use super::identity::add;
use super::support::{TestStore, acme, acme_and_zeta, reading, writing, writing_in};
use canopy_domain::hierarchy::names::{NamedNode, NodeNames};
use canopy_domain::identity::names::{IdentityNames, NamedIdentity};
use canopy_domain::port::LockScope;
use canopy_domain::transfer::SlugPath;
use canopy_domain::{EnvironmentId, Identity, Node, NodeId, NodeType, Resolution};
use canopy_testkit::fixture::{World, email, external_id, node_type, slug};

fn named(identity: &Identity) -> NamedIdentity {
    NamedIdentity {
        id: identity.id,
        external_id: identity.external_id.clone(),
        email: identity.email.clone(),
    }
}

fn identity_names(names: &[&str]) -> IdentityNames {
    let mut asked = IdentityNames::default();
    for name in names {
        asked.add(name);
    }
    asked
}

pub async fn identities_are_found_by_each_of_their_names(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let mut one = acme.maker.identity(acme.account.id, "New One");
    one.external_id = Some(external_id("Emp-1"));
    let mut two = acme.maker.identity(acme.account.id, "New Two");
    // The id of another, as a customer may have it in a directory.
    two.external_id = Some(external_id(&one.id.to_string()));
    let mut foreign = zeta.maker.identity(zeta.account.id, "Foreign One");
    (foreign.external_id, foreign.email) = (Some(external_id("Emp-1")), email("foreign@x.example"));
    add(&store, &acme, &[one.clone(), two.clone()]).await;
    add(&store, &zeta, std::slice::from_ref(&foreign)).await;
    let mut tx = reading(&store).await;
    let id = one.id.to_string();
    let foreign_id = foreign.id.to_string();
    for (names, found) in [
        (vec!["Emp-1"], vec![&one]),
        (vec!["NEW.one@example.com"], vec![&one]),
        (vec!["Emp-1", "new.one@example.com"], vec![&one]),
        (vec![id.as_str()], vec![&one, &two]),
        (vec!["new.two@example.com", "Emp-1"], vec![&one, &two]),
        (
            vec!["emp-1", "foreign@x.example", foreign_id.as_str(), "", "it's \"odd\""],
            vec![],
        ),
        (vec![], vec![]),
    ] {
        let asked = identity_names(&names);
        let answer = tx.identities_named(acme.account.id, &asked).await.unwrap();
        let found: Vec<NamedIdentity> = found.into_iter().map(named).collect();
        assert_eq!(answer, found, "{names:?}");
    }
    let theirs = tx
        .identities_named(zeta.account.id, &identity_names(&["Emp-1", &id]))
        .await;
    assert_eq!(theirs.unwrap(), [named(&foreign)]);
}

/// More nodes in `development`: team `berlin` below `us`, and in it team `eu`, and region `new`.
async fn grow(store: &TestStore, world: &World) -> [Node; 3] {
    let here = &world.development;
    let berlin = world.maker.node(here.id(), here.us.id, "team", "berlin");
    let eu = world.maker.node(here.id(), berlin.id, "team", "eu");
    let new = world.maker.node(here.id(), here.root.id, "region", "new");
    let made = [berlin, eu, new];
    let mut tx = writing_in(store, here.id()).await;
    tx.insert_nodes(&made).await.unwrap();
    world.commit(tx, &[here.id()]).await;
    made
}

fn path(text: &str) -> SlugPath {
    SlugPath::parse(text).unwrap()
}

fn node_names(names: &[(Option<&str>, &str)]) -> NodeNames {
    let mut asked = NodeNames::default();
    for (of_type, name) in names {
        asked.add(of_type.map(node_type).as_ref(), name);
    }
    asked
}

pub async fn nodes_are_found_by_the_way_from_the_root(store: TestStore) {
    let world = acme(&store).await;
    let here = &world.development;
    let [berlin, eu, _] = grow(&store, &world).await;
    let root = here.root.slug.as_str();
    let places = [
        (root.to_owned(), Some(here.root.id)),
        (format!("{root}/eu"), Some(here.eu.id)),
        (format!("{root}/eu/berlin"), Some(here.berlin.id)),
        (format!("{root}/us/berlin"), Some(berlin.id)),
        (format!("{root}/us/berlin/eu"), Some(eu.id)),
        (format!("{root}/us/berlin/eu/eu"), None),
        (format!("{root}/berlin"), None),
        ("eu".to_owned(), None),
        ("eu/berlin".to_owned(), None),
        (format!("{root}{}", "/a".repeat(200)), None),
    ];
    let names: Vec<(Option<&str>, &str)> = places.iter().map(|(name, _)| (None, name.as_str())).collect();
    let mut tx = reading(&store).await;
    let found = tx.nodes_named(here.id(), &node_names(&names)).await.unwrap();
    for (name, node) in &places {
        assert_eq!(found.paths.get(&path(name)), node.as_ref(), "{name}");
    }
    for other in [world.production.id(), world.maker.id::<EnvironmentId>()] {
        let found = tx.nodes_named(other, &node_names(&names)).await.unwrap();
        assert!(
            found
                .paths
                .values()
                .all(|node| places.iter().all(|(_, own)| own.as_ref() != Some(node)))
        );
    }
}

pub async fn a_slug_leads_to_a_node_where_it_is_the_only_one_of_the_type(store: TestStore) {
    let world = acme(&store).await;
    let here = &world.development;
    let [_, team_eu, new] = grow(&store, &world).await;
    let asked = [
        (Some("region"), "eu", Resolution::Unique(here.eu.id)),
        (Some("team"), "eu", Resolution::Unique(team_eu.id)),
        (None, "eu", Resolution::Ambiguous),
        (Some("team"), "berlin", Resolution::Ambiguous),
        (Some("region"), "berlin", Resolution::NotFound),
        (None, "berlin", Resolution::Ambiguous),
        (Some("region"), "new", Resolution::Unique(new.id)),
        (None, "new", Resolution::Unique(new.id)),
        (Some("nothing"), "new", Resolution::NotFound),
        (None, "nothing", Resolution::NotFound),
    ];
    let names: Vec<(Option<&str>, &str)> = asked.iter().map(|(of_type, name, _)| (*of_type, *name)).collect();
    let mut tx = reading(&store).await;
    let found = tx.nodes_named(here.id(), &node_names(&names)).await.unwrap();
    for (of_type, name, meaning) in asked {
        let key = (of_type.map(node_type), slug(name));
        let answer = found.slugs.get(&key).copied().unwrap_or(Resolution::NotFound);
        assert_eq!(answer, meaning, "{of_type:?} {name}");
    }
    assert!(!found.slugs.values().any(|meaning| *meaning == Resolution::NotFound));
    let elsewhere = tx
        .nodes_named(world.production.id(), &node_names(&names))
        .await
        .unwrap();
    let nowhere = tx.nodes_named(world.maker.id(), &node_names(&names)).await.unwrap();
    assert_eq!(nowhere, canopy_domain::hierarchy::names::NodesByName::default());
    assert_eq!(elsewhere.slugs.get(&(Some(node_type("region")), slug("new"))), None);
    let eu = elsewhere.slugs.get(&(None, slug("eu"))).copied();
    assert_eq!(eu, Some(Resolution::Unique(world.production.eu.id)));
}

pub async fn a_node_knows_its_way_and_whether_others_have_its_slug(store: TestStore) {
    let world = acme(&store).await;
    let here = &world.development;
    let [berlin, team_eu, new] = grow(&store, &world).await;
    let root = here.root.slug.as_str();
    let expected = [
        (&here.root, root.to_owned(), true, true),
        (&here.eu, format!("{root}/eu"), true, false),
        (&here.berlin, format!("{root}/eu/berlin"), false, false),
        (&berlin, format!("{root}/us/berlin"), false, false),
        (&team_eu, format!("{root}/us/berlin/eu"), true, false),
        (&new, format!("{root}/new"), true, true),
    ];
    let ids: Vec<NodeId> = expected.iter().map(|(node, ..)| node.id).collect();
    let mut expected: Vec<NamedNode> = expected
        .into_iter()
        .map(|(node, way, is_only_of_type, is_only)| NamedNode {
            id: node.id,
            node_type: node.node_type.clone(),
            path: path(&way),
            is_only_of_type,
            is_only,
        })
        .collect();
    expected.sort_by_key(|node| node.id);
    let absent = [world.maker.id(), world.production.eu.id];
    let mut tx = reading(&store).await;
    let asked = [&ids[..], &ids[..2], &absent].concat();
    assert_eq!(tx.named_nodes(here.id(), &asked).await.unwrap(), expected);
    assert_eq!(tx.named_nodes(here.id(), &[]).await.unwrap(), []);
    for other in [world.production.id(), world.maker.id()] {
        assert_eq!(tx.named_nodes(other, &ids).await.unwrap(), []);
    }
}

pub async fn forty_thousand_names_are_looked_up_in_one_call(store: TestStore) {
    let world = acme(&store).await;
    let here = &world.development;
    let people: Vec<Identity> = (0..40_000)
        .map(|number| Identity {
            external_id: Some(external_id(&format!("E{number}"))),
            ..world
                .maker
                .identity(world.account.id, &format!("Number{number} Example"))
        })
        .collect();
    let nodes: Vec<Node> = (0..40_000)
        .map(|number| world.maker.node(here.id(), here.eu.id, "team", &format!("n{number}")))
        .collect();
    let mut tx = writing(&store, LockScope::Account(world.account.id)).await;
    tx.insert_identities(&people).await.unwrap();
    world.commit(tx, &[]).await;
    let mut tx = writing_in(&store, here.id()).await;
    tx.insert_nodes(&nodes).await.unwrap();
    world.commit(tx, &[here.id()]).await;
    let mut asked = IdentityNames::default();
    for (number, person) in people.iter().enumerate() {
        match (number % 3, &person.external_id) {
            (0, Some(id)) => asked.add(id.as_str()),
            (1, _) => asked.add(person.email.as_str()),
            _ => asked.add(&person.id.to_string()),
        }
    }
    let mut tx = reading(&store).await;
    let found = tx.identities_named(world.account.id, &asked).await.unwrap();
    assert_eq!(found.len(), people.len());
    let team: NodeType = node_type("team");
    let mut asked = NodeNames::default();
    for (number, node) in nodes.iter().enumerate() {
        match number % 2 {
            0 => asked.add(Some(&team), node.slug.as_str()),
            _ => asked.add(None, &format!("{}/eu/{}", here.root.slug, node.slug)),
        }
    }
    let found = tx.nodes_named(here.id(), &asked).await.unwrap();
    assert_eq!(
        (found.paths.len(), found.slugs.len()),
        (nodes.len() / 2, nodes.len() / 2)
    );
    let ids: Vec<NodeId> = nodes.iter().map(|node| node.id).collect();
    assert_eq!(tx.named_nodes(here.id(), &ids).await.unwrap().len(), nodes.len());
}

//! Clauses on the tree of nodes.

use super::support::{
    ODD_TEXT, TestStore, acme, acme_and_zeta, assert_bug, assert_duplicate, reading, writing, writing_in,
    writing_in_any,
};
use canopy_domain::hierarchy::create::{NodeFacts, ParentFact};
use canopy_domain::port::{LockScope, StoreError, Unique};
use canopy_domain::{EnvironmentId, Node, NodeId, NodeStatus, Slug, Timestamp, Version};
use canopy_testkit::fixture::{World, json, name, node_type, slug};
use std::collections::{BTreeSet, HashMap, HashSet};

/// Stores nodes in `development`.
async fn add(store: &TestStore, world: &World, nodes: &[Node]) {
    let mut tx = writing_in(store, world.development.id()).await;
    tx.insert_nodes(nodes).await.unwrap();
    world.commit(tx, &[world.development.id()]).await;
}

pub async fn a_node_reads_back_as_it_was_written(store: TestStore) {
    let world = acme(&store).await;
    let id = world.development.id();
    let mut odd = world.maker.node(id, world.development.us.id, "A-z_9", "odd");
    odd.name = name(ODD_TEXT);
    odd.status = NodeStatus::Inactive;
    odd.metadata = json("{ \"a\" : [1, \"ü\"] }");
    odd.version = Version::new(u32::MAX).unwrap();
    (odd.created_at, odd.updated_at) = (Timestamp::MIN, Timestamp::MAX);
    add(&store, &world, std::slice::from_ref(&odd)).await;
    let mut tx = reading(&store).await;
    assert_eq!(tx.node(id, odd.id).await.unwrap(), Some(odd.clone()));
    assert!(tx.nodes(id).await.unwrap().contains(&odd));
    let root = world.development.root.clone();
    assert_eq!(tx.root_node(id).await.unwrap(), Some(root.clone()));
    assert_eq!(tx.node(id, root.id).await.unwrap(), Some(root));
}

pub async fn the_tree_lists_parents_before_children_and_siblings_by_slug(store: TestStore) {
    let world = acme(&store).await;
    let (id, maker) = (world.development.id(), &world.maker);
    // Made in an order of ids and slugs that is neither.
    let z = maker.node(id, world.development.us.id, "team", "z");
    let mut made = vec![z.clone()];
    for text in ["b", "a-b", "ab", "a", "a0", "0"] {
        made.push(maker.node(id, z.id, "team", text));
    }
    made.push(maker.node(id, made[3].id, "team", "below"));
    add(&store, &world, &made).await;
    let listed = reading(&store).await.nodes(id).await.unwrap();
    assert_eq!(listed.len(), 5 + made.len());
    let mut seen: HashSet<NodeId> = HashSet::new();
    let mut last_below: HashMap<NodeId, Slug> = HashMap::new();
    for node in listed {
        if let Some(parent) = node.parent {
            assert!(seen.contains(&parent), "{} stands before its parent", node.slug);
            if let Some(before) = last_below.insert(parent, node.slug.clone()) {
                assert!(before < node.slug, "{before} stands before {}", node.slug);
            }
        }
        seen.insert(node.id);
    }
}

pub async fn a_taken_node_slug_is_a_duplicate_and_the_unit_of_work_goes_on(store: TestStore) {
    let world = acme(&store).await;
    let (development, maker) = (&world.development, &world.maker);
    let id = development.id();
    let mut tx = writing_in(&store, id).await;
    let with_taken = [
        maker.node(id, development.root.id, "region", "asia"),
        maker.node(id, development.root.id, "region", "eu"),
    ];
    assert_duplicate(tx.insert_nodes(&with_taken).await, Unique::NodeSlug);
    let twins = [(); 2].map(|()| maker.node(id, development.us.id, "team", "twin"));
    assert_duplicate(tx.insert_nodes(&twins).await, Unique::NodeSlug);
    // Nothing of the refused calls was stored; the same slugs are free below another parent.
    let free = [
        maker.node(id, development.root.id, "region", "asia"),
        maker.node(id, development.us.id, "team", "twin"),
        maker.node(id, development.us.id, "team", "eu"),
        maker.node(id, development.us.id, "team", "berlin"),
    ];
    tx.insert_nodes(&free).await.unwrap();
    world.commit(tx, &[id]).await;
    assert_eq!(reading(&store).await.nodes(id).await.unwrap().len(), 5 + 4);
}

pub async fn a_large_set_of_nodes_is_stored_as_a_whole_or_not_at_all(store: TestStore) {
    let world = acme(&store).await;
    let (development, maker) = (&world.development, &world.maker);
    let id = development.id();
    let metadata = json(&format!("{{\"a\":\"{}\"}}", "x".repeat(16_000)));
    // More bytes than a store writes at once, children after their parents.
    let mut nodes = vec![maker.node(id, development.us.id, "team", "top")];
    for n in 0..1_100 {
        let node = maker.node(id, nodes[n / 2].id, "team", &format!("n{n}"));
        nodes.push(Node {
            metadata: metadata.clone(),
            ..node
        });
    }
    nodes.push(maker.node(id, development.root.id, "region", "eu"));
    let mut tx = writing_in(&store, id).await;
    let before = tx.nodes(id).await.unwrap();
    assert_duplicate(tx.insert_nodes(&nodes).await, Unique::NodeSlug);
    assert_eq!(tx.nodes(id).await.unwrap(), before);
    nodes.pop();
    tx.insert_nodes(&nodes).await.unwrap();
    for node in &mut nodes {
        node.version = node.version.next();
    }
    tx.update_nodes(&nodes).await.unwrap();
    world.commit(tx, &[id]).await;
    let stored: HashMap<NodeId, Node> = reading(&store)
        .await
        .nodes(id)
        .await
        .unwrap()
        .into_iter()
        .map(|node| (node.id, node))
        .collect();
    assert_eq!(stored.len(), before.len() + nodes.len());
    assert!(nodes.iter().all(|node| stored.get(&node.id) == Some(node)));
}

pub async fn the_bytes_of_nodes_are_those_of_their_texts(store: TestStore) {
    let world = acme(&store).await;
    let id = world.development.id();
    let before = reading(&store).await.node_bytes(id).await.unwrap();
    let elsewhere = reading(&store).await.node_bytes(world.production.id()).await.unwrap();
    let mut plain = world.maker.node(id, world.development.us.id, "team", "plain");
    plain.name = name("Zürich");
    let mut full = world.maker.node(id, world.development.us.id, "team", "full");
    (full.name, full.metadata) = (name("N"), json("{\"ü\":1}"));
    add(&store, &world, &[plain, full]).await;
    let mut tx = reading(&store).await;
    // Slugs and names; empty metadata does not count.
    assert_eq!(tx.node_bytes(id).await.unwrap(), before + (5 + 7) + (4 + 1 + 8));
    assert_eq!(tx.node_bytes(world.production.id()).await.unwrap(), elsewhere);
    assert!(elsewhere > 0, "it has a root");
    assert_eq!(tx.node_bytes(EnvironmentId::new(uuid::Uuid::nil())).await.unwrap(), 0);
}

pub async fn a_node_id_minted_twice_is_a_duplicate_id(store: TestStore) {
    let world = acme(&store).await;
    let id = world.development.id();
    let mut again = world.maker.node(id, world.development.us.id, "team", "fresh");
    again.id = world.development.paris.id;
    let mut tx = writing_in(&store, id).await;
    assert_duplicate(tx.insert_nodes(&[again]).await, Unique::Id);
    world.commit(tx, &[id]).await;
}

pub async fn a_node_stands_only_below_a_node_of_its_environment(store: TestStore) {
    let world = acme(&store).await;
    let id = world.development.id();
    for parent in [world.maker.id::<NodeId>(), world.production.root.id] {
        let node = world.maker.node(id, parent, "region", "lost");
        let mut tx = writing_in(&store, id).await;
        assert_bug(tx.insert_nodes(&[node]).await);
    }
    let nowhere = world.maker.id::<EnvironmentId>();
    let node = world.maker.node(nowhere, world.development.root.id, "region", "lost");
    let mut tx = writing_in_any(&store, &world, nowhere).await;
    assert_bug(tx.insert_nodes(&[node]).await);
    drop(tx);
    assert_eq!(reading(&store).await.nodes(id).await.unwrap().len(), 5);
}

pub async fn updating_nodes_overwrites_their_rows(store: TestStore) {
    let world = acme(&store).await;
    let development = &world.development;
    let changed = Node {
        parent: Some(development.us.id),
        node_type: node_type("office"),
        name: name("Renamed"),
        slug: slug("renamed"),
        status: NodeStatus::Inactive,
        metadata: json("{\"x\":1}"),
        version: Version::new(5).unwrap(),
        updated_at: Timestamp::MAX,
        ..development.berlin.clone()
    };
    let root = Node {
        node_type: node_type("holding"),
        ..development.root.clone()
    };
    let mut tx = writing_in(&store, development.id()).await;
    tx.update_nodes(&[changed.clone(), root.clone()]).await.unwrap();
    world.commit(tx, &[development.id()]).await;
    let mut tx = reading(&store).await;
    assert_eq!(
        tx.node(development.id(), changed.id).await.unwrap(),
        Some(changed.clone())
    );
    assert_eq!(tx.root_node(development.id()).await.unwrap(), Some(root));
    drop(tx);
    // The old position is free, the new one is not.
    let mut tx = writing_in(&store, development.id()).await;
    let taken = world.maker.node(development.id(), development.us.id, "team", "renamed");
    assert_duplicate(tx.insert_nodes(&[taken]).await, Unique::NodeSlug);
    let free = world.maker.node(development.id(), development.eu.id, "team", "berlin");
    tx.insert_nodes(std::slice::from_ref(&free)).await.unwrap();
    let clash = Node {
        slug: slug("paris"),
        ..free
    };
    assert_duplicate(tx.update_nodes(&[clash]).await, Unique::NodeSlug);
    world.commit(tx, &[development.id()]).await;
}

pub async fn changing_a_node_that_is_not_there_is_refused(store: TestStore) {
    let world = acme(&store).await;
    let absent = world
        .maker
        .node(world.development.id(), world.development.root.id, "region", "absent");
    let elsewhere = Node {
        environment_id: world.production.id(),
        parent: Some(world.production.eu.id),
        slug: slug("elsewhere"),
        ..world.development.berlin.clone()
    };
    for node in [absent, elsewhere] {
        let mut tx = writing_in(&store, node.environment_id).await;
        assert_bug(tx.update_nodes(&[node]).await);
    }
}

pub async fn node_facts_tell_type_and_depth_of_the_parents_there_are(store: TestStore) {
    let world = acme(&store).await;
    let development = &world.development;
    let deep = world.maker.node(development.id(), development.paris.id, "team", "deep");
    add(&store, &world, std::slice::from_ref(&deep)).await;
    let asked = [
        development.root.id,
        development.eu.id,
        deep.id,
        deep.id,
        world.production.root.id,
        world.maker.id(),
    ];
    let found = reading(&store)
        .await
        .node_facts(development.id(), &asked, &[])
        .await
        .unwrap();
    let fact = |node: &Node, depth| {
        let fact = ParentFact {
            node_type: node.node_type.clone(),
            depth,
        };
        (node.id, fact)
    };
    let expected = NodeFacts {
        parents: [fact(&development.root, 1), fact(&development.eu, 2), fact(&deep, 4)].into(),
        taken: HashSet::new(),
    };
    assert_eq!(found, expected);
}

pub async fn node_facts_tell_taken_slugs_that_are_equal_or_go_on_with_a_hyphen(store: TestStore) {
    let world = acme(&store).await;
    let (development, maker) = (&world.development, &world.maker);
    let id = development.id();
    let below_us = ["a", "a-2", "a-b", "a-2-3", "a0", "ab", "a--x", "b-2", "ba"];
    let mut made: Vec<Node> = below_us
        .iter()
        .map(|text| maker.node(id, development.us.id, "team", text))
        .collect();
    made.push(maker.node(id, development.paris.id, "team", "a-9"));
    add(&store, &world, &made).await;
    let asked = [
        (development.us.id, slug("a")),
        (development.us.id, slug("b")),
        (development.paris.id, slug("a")),
        (development.berlin.id, slug("a")),
        (world.production.eu.id, slug("berlin")),
        (maker.id(), slug("a")),
    ];
    let found = reading(&store).await.node_facts(id, &[], &asked).await.unwrap();
    let mut expected: HashSet<(NodeId, Slug)> = ["a", "a-2", "a-b", "a-2-3", "a--x", "b-2"]
        .map(|text| (development.us.id, slug(text)))
        .into();
    expected.insert((development.paris.id, slug("a-9")));
    assert_eq!(found.taken, expected);
    assert!(found.parents.is_empty());
}

pub async fn forty_thousand_nodes_are_stored_and_asked_about_in_one_call(store: TestStore) {
    let world = acme(&store).await;
    let (id, us) = (world.development.id(), world.development.us.id);
    let made: Vec<Node> = (0..40_000)
        .map(|number| world.maker.node(id, us, "team", &format!("n{number}")))
        .collect();
    add(&store, &world, &made).await;
    let parents: Vec<NodeId> = made.iter().map(|node| node.id).collect();
    let slugs: Vec<(NodeId, Slug)> = made.iter().map(|node| (us, node.slug.clone())).collect();
    let mut tx = reading(&store).await;
    for size in [5_000, 40_000] {
        let found = tx.node_facts(id, &parents[..size], &slugs[..size]).await.unwrap();
        assert_eq!((found.parents.len(), found.taken.len()), (size, size));
    }
}

pub async fn the_shape_of_a_tree_names_each_combination_of_types_once(store: TestStore) {
    let world = acme(&store).await;
    let development = &world.development;
    let (id, maker) = (development.id(), &world.maker);
    let one = maker.node(id, development.paris.id, "team", "one");
    let two = maker.node(id, one.id, "company", "two");
    add(&store, &world, &[one.clone(), two.clone()]).await;
    let shape = reading(&store).await.tree_shape(id).await.unwrap();
    assert_eq!(
        (shape.root, shape.root_type),
        (development.root.id, node_type("company"))
    );
    assert_eq!(shape.deepest, (5, two.id));
    let edges: BTreeSet<(Option<String>, String)> = shape
        .edges
        .iter()
        .map(|edge| (edge.parent.as_ref().map(ToString::to_string), edge.child.to_string()))
        .collect();
    let edge = |parent: Option<&str>, child: &str| (parent.map(str::to_owned), child.to_owned());
    let expected = [
        edge(None, "region"),
        edge(Some("region"), "team"),
        edge(Some("team"), "company"),
        edge(Some("team"), "team"),
    ];
    assert_eq!(edges, expected.into());
    assert_eq!(shape.edges.len(), 4);
    for edge in shape.edges {
        let child = edge.child.as_str();
        let examples = match edge.parent.as_ref().map(canopy_domain::NodeType::as_str) {
            None => vec![development.eu.id, development.us.id],
            Some("region") => vec![development.berlin.id, development.paris.id],
            Some(_) if child == "company" => vec![two.id],
            Some(_) => vec![one.id],
        };
        assert!(examples.contains(&edge.example), "{child}");
    }
}

pub async fn a_node_of_the_roots_type_below_another_is_no_root_edge(store: TestStore) {
    let world = acme(&store).await;
    let development = &world.development;
    let inner = world
        .maker
        .node(development.id(), development.us.id, "company", "inner");
    let below = world.maker.node(development.id(), inner.id, "region", "below");
    add(&store, &world, &[inner, below]).await;
    let shape = reading(&store).await.tree_shape(development.id()).await.unwrap();
    let region_below = |parent: Option<&str>| {
        shape
            .edges
            .iter()
            .filter(|edge| edge.child == node_type("region"))
            .filter(|edge| edge.parent == parent.map(node_type))
            .count()
    };
    assert_eq!((region_below(None), region_below(Some("company"))), (1, 1));
}

pub async fn the_shape_of_a_lonely_root_has_no_edges(store: TestStore) {
    let world = acme(&store).await;
    let made = world.maker.environment(&world.account, world.application.id, "flat");
    let id = made.environment.id;
    let scope = LockScope::Application(world.application_ref());
    let mut tx = writing(&store, scope).await;
    tx.insert_environment(&made.environment, &made.schema).await.unwrap();
    tx.insert_nodes(std::slice::from_ref(&made.root)).await.unwrap();
    world.commit(tx, &[id]).await;
    let shape = reading(&store).await.tree_shape(id).await.unwrap();
    assert_eq!((shape.root, shape.edges.len()), (made.root.id, 0));
    assert_eq!(shape.deepest, (1, made.root.id));
}

pub async fn a_tree_without_a_root_is_corrupt(store: TestStore) {
    let world = acme(&store).await;
    let made = world.maker.environment(&world.account, world.application.id, "bare");
    let id = made.environment.id;
    let scope = LockScope::Application(world.application_ref());
    let mut tx = writing(&store, scope).await;
    tx.insert_environment(&made.environment, &made.schema).await.unwrap();
    world.commit(tx, &[id]).await;
    for rootless in [id, world.maker.id()] {
        let shape = reading(&store).await.tree_shape(rootless).await;
        assert!(matches!(shape, Err(StoreError::Corrupt(_))), "{shape:?}");
    }
    let mut tx = reading(&store).await;
    assert_eq!(tx.root_node(id).await.unwrap(), None);
    assert_eq!(tx.nodes(id).await.unwrap(), []);
}

pub async fn a_second_root_is_refused(store: TestStore) {
    let world = acme(&store).await;
    let second = Node {
        parent: None,
        ..world
            .maker
            .node(world.development.id(), world.development.root.id, "company", "second")
    };
    let mut tx = writing_in(&store, world.development.id()).await;
    assert!(tx.insert_nodes(&[second]).await.is_err());
}

pub async fn nodes_of_one_environment_are_nothing_to_another(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let berlin = &acme.development.berlin;
    let nowhere = acme.maker.id::<EnvironmentId>();
    let mut tx = reading(&store).await;
    for other in [acme.production.id(), zeta.development.id(), nowhere] {
        assert_eq!(tx.node(other, berlin.id).await.unwrap(), None);
        let taken = [(acme.development.eu.id, slug("berlin"))];
        let facts = tx.node_facts(other, &[berlin.id], &taken).await.unwrap();
        assert_eq!(facts, NodeFacts::default());
        let listed = tx.nodes(other).await.unwrap();
        assert!(listed.iter().all(|node| node.environment_id == other));
        assert_eq!(listed.len(), if other == nowhere { 0 } else { 5 });
    }
    assert_eq!(tx.root_node(nowhere).await.unwrap(), None);
    assert_eq!(tx.node(acme.development.id(), acme.maker.id()).await.unwrap(), None);
}

pub async fn deleting_nodes_takes_a_whole_subtree_at_once(store: TestStore) {
    let world = acme(&store).await;
    let (here, there) = (&world.development, &world.production);
    let mut tx = writing_in(&store, here.id()).await;
    // Unordered; the node of another environment is skipped.
    let gone = [
        here.eu.id,
        here.berlin.id,
        there.us.id,
        world.maker.id(),
        here.paris.id,
        here.eu.id,
    ];
    tx.delete_nodes(here.id(), &gone).await.unwrap();
    // Its position is free.
    let again = world.maker.node(here.id(), here.root.id, "region", "eu");
    tx.insert_nodes(std::slice::from_ref(&again)).await.unwrap();
    world.commit(tx, &[here.id()]).await;
    let mut tx = reading(&store).await;
    let left = tx.nodes(here.id()).await.unwrap();
    assert_eq!(left, [here.root.clone(), again, here.us.clone()]);
    assert_eq!(tx.nodes(there.id()).await.unwrap().len(), 5);
}

pub async fn a_node_that_something_stands_on_is_not_deleted(store: TestStore) {
    let world = acme(&store).await;
    let here = &world.development;
    let held = world.assignment(world.ada(), &here.reader, &here.us);
    world.assign(store.as_ref(), std::slice::from_ref(&held)).await;
    for gone in [vec![here.eu.id], vec![here.eu.id, here.berlin.id], vec![here.us.id]] {
        let mut tx = writing_in(&store, here.id()).await;
        assert_bug(tx.delete_nodes(here.id(), &gone).await);
    }
    assert_eq!(reading(&store).await.nodes(here.id()).await.unwrap().len(), 5);
}

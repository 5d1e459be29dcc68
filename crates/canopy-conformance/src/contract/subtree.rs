//! Clauses on parts of the tree: the neighbours of a node, and the deletion of subtrees.

use super::support::{TestStore, acme, acme_and_zeta, assert_bug, assert_duplicate, reading, writing_in};
use canopy_domain::hierarchy::remove::NodeUses;
use canopy_domain::port::Unique;
use canopy_domain::{EnvironmentId, JsonObject, Node, NodeId};
use canopy_testkit::fixture::World;

async fn add(store: &TestStore, world: &World, nodes: &[Node]) {
    let mut tx = writing_in(store, world.development.id()).await;
    tx.insert_nodes(nodes).await.unwrap();
    world.commit(tx, &[world.development.id()]).await;
}

fn ids(nodes: &[Node]) -> Vec<NodeId> {
    nodes.iter().map(|node| node.id).collect()
}

pub async fn children_are_listed_by_slug_and_ancestors_root_first(store: TestStore) {
    let world = acme(&store).await;
    let here = &world.development;
    let id = here.id();
    let made: Vec<Node> = ["b", "a-b", "ab", "a", "0"]
        .map(|text| world.maker.node(id, here.us.id, "team", text))
        .into();
    let deep = world.maker.node(id, made[3].id, "team", "a");
    add(&store, &world, &[made.clone(), vec![deep.clone()]].concat()).await;
    let mut tx = reading(&store).await;
    let children = tx.children(id, here.us.id).await.unwrap();
    assert_eq!(
        children,
        [4, 3, 1, 2, 0].map(|place: usize| made[place].clone()),
        "byte for byte, and none below them"
    );
    assert_eq!(tx.children(id, deep.id).await.unwrap(), []);
    assert_eq!(
        tx.ancestors(id, deep.id).await.unwrap(),
        [here.root.clone(), here.us.clone(), made[3].clone()]
    );
    assert_eq!(tx.ancestors(id, here.root.id).await.unwrap(), []);
}

pub async fn a_subtree_lists_parents_before_children_and_siblings_by_slug(store: TestStore) {
    let world = acme(&store).await;
    let here = &world.development;
    let id = here.id();
    let node = |parent: &Node, text: &str| world.maker.node(id, parent.id, "team", text);
    let (z, a) = (node(&here.berlin, "z"), node(&here.berlin, "a"));
    let (below_z, below_a) = (node(&z, "b"), node(&a, "c"));
    add(
        &store,
        &world,
        &[z.clone(), a.clone(), below_z.clone(), below_a.clone()],
    )
    .await;
    let mut tx = reading(&store).await;
    let found = tx.subtree(id, here.eu.id).await.unwrap();
    let expected = [&here.eu, &here.berlin, &a, &below_a, &z, &below_z, &here.paris].map(Node::clone);
    assert_eq!(found, expected);
    assert_eq!(
        tx.subtree(id, here.us.id).await.unwrap(),
        std::slice::from_ref(&here.us)
    );
    let whole = tx.subtree(id, here.root.id).await.unwrap();
    assert_eq!(whole, tx.nodes(id).await.unwrap());
    let bare = |nodes: Vec<Node>| {
        nodes
            .into_iter()
            .map(|node| Node {
                metadata: JsonObject::default(),
                ..node
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(tx.bare_nodes(id, None).await.unwrap(), bare(whole));
    assert_eq!(tx.bare_nodes(id, Some(here.eu.id)).await.unwrap(), bare(found));
    for top in [here.root.id, here.eu.id, here.paris.id] {
        let children = tx.children(id, top).await.unwrap();
        let bytes: usize = children.iter().map(|node| node.metadata.as_str().len()).sum();
        let size = (u64::try_from(children.len()).unwrap(), u64::try_from(bytes).unwrap());
        assert_eq!(tx.children_size(id, top).await.unwrap(), size);
    }
}

pub async fn a_subtree_knows_its_height_and_a_node_what_hangs_on_it(store: TestStore) {
    let world = acme(&store).await;
    let here = &world.development;
    let id = here.id();
    let mut parent = here.paris.id;
    let mut chain = vec![];
    for level in 4..=64 {
        let node = world.maker.node(id, parent, "team", &format!("level-{level}"));
        parent = node.id;
        chain.push(node);
    }
    add(&store, &world, &chain).await;
    let held = [
        world.assignment(world.ada(), &here.reader, &here.eu),
        world.assignment(world.alan(), &here.reader, &here.eu),
        world.assignment(world.alan(), &here.reader, &here.paris),
    ];
    world.assign(store.as_ref(), &held).await;
    let mut tx = reading(&store).await;
    for (node, height, children, assignments) in [
        (here.root.id, 64, 2, 0),
        (here.eu.id, 63, 2, 2),
        (here.paris.id, 62, 1, 1),
        (here.us.id, 1, 0, 0),
        (parent, 1, 0, 0),
    ] {
        assert_eq!(tx.subtree_height(id, node).await.unwrap(), height);
        let uses = tx.node_uses(id, node).await.unwrap();
        assert_eq!(uses, NodeUses { children, assignments });
    }
    assert_eq!(tx.ancestors(id, parent).await.unwrap().len(), 63);
}

pub async fn a_moved_node_takes_all_below_it_along(store: TestStore) {
    let world = acme(&store).await;
    let here = &world.development;
    let id = here.id();
    let moved = Node {
        parent: Some(here.us.id),
        ..here.eu.clone()
    };
    let mut tx = writing_in(&store, id).await;
    tx.update_nodes(std::slice::from_ref(&moved)).await.unwrap();
    // Where it was is free, where it is now is taken.
    let there = world.maker.node(id, here.us.id, "region", "eu");
    assert_duplicate(tx.insert_nodes(&[there]).await, Unique::NodeSlug);
    tx.insert_nodes(&[world.maker.node(id, here.root.id, "region", "eu")])
        .await
        .unwrap();
    world.commit(tx, &[id]).await;
    let mut tx = reading(&store).await;
    assert_eq!(
        tx.ancestors(id, here.paris.id).await.unwrap(),
        [here.root.clone(), here.us.clone(), moved.clone()]
    );
    let expected = [&here.us, &moved, &here.berlin, &here.paris].map(Node::clone);
    assert_eq!(tx.subtree(id, here.us.id).await.unwrap(), expected);
    assert_eq!(tx.subtree_height(id, here.root.id).await.unwrap(), 4);
}

pub async fn deleting_nodes_takes_a_whole_branch_and_passes_over_what_is_not_there(store: TestStore) {
    let world = acme(&store).await;
    let here = &world.development;
    let id = here.id();
    let mut tx = writing_in(&store, id).await;
    // Unordered, one twice, one unknown and one of another environment.
    let gone = [
        here.eu.id,
        here.berlin.id,
        world.maker.id(),
        here.paris.id,
        here.berlin.id,
        world.production.us.id,
    ];
    tx.delete_nodes(id, &gone).await.unwrap();
    // Their places are free at once.
    tx.insert_nodes(&[world.maker.node(id, here.root.id, "region", "eu")])
        .await
        .unwrap();
    world.commit(tx, &[id]).await;
    let mut tx = reading(&store).await;
    assert_eq!(tx.nodes(id).await.unwrap().len(), 3);
    assert_eq!(tx.node(id, here.berlin.id).await.unwrap(), None);
    assert_eq!(tx.nodes(world.production.id()).await.unwrap().len(), 5);
}

pub async fn deleting_a_node_that_something_hangs_on_is_refused(store: TestStore) {
    let world = acme(&store).await;
    let here = &world.development;
    let held = world.assignment(world.ada(), &here.reader, &here.us);
    world.assign(store.as_ref(), &[held]).await;
    for gone in [
        vec![here.eu.id],
        vec![here.eu.id, here.berlin.id],
        vec![here.us.id],
        vec![here.root.id],
    ] {
        let mut tx = writing_in(&store, here.id()).await;
        assert_bug(tx.delete_nodes(here.id(), &gone).await);
    }
    assert_eq!(reading(&store).await.nodes(here.id()).await.unwrap().len(), 5);
}

pub async fn forty_thousand_nodes_are_read_and_deleted_in_one_call(store: TestStore) {
    let world = acme(&store).await;
    let here = &world.development;
    let id = here.id();
    // Twenty below Paris, and two thousand below each of them.
    let mut made: Vec<Node> = (0..20)
        .map(|number| world.maker.node(id, here.paris.id, "team", &format!("t{number}")))
        .collect();
    for parent in ids(&made) {
        made.extend((0..2_000).map(|number| world.maker.node(id, parent, "team", &format!("n{number}"))));
    }
    add(&store, &world, &made).await;
    let held: Vec<_> = made
        .iter()
        .step_by(4)
        .map(|node| world.assignment(world.ada(), &here.reader, node))
        .collect();
    world.assign(store.as_ref(), &held).await;
    let mut tx = writing_in(&store, id).await;
    let found = ids(&tx.subtree(id, here.paris.id).await.unwrap());
    assert_eq!(found.len(), 1 + made.len());
    assert_eq!(tx.subtree_height(id, here.paris.id).await.unwrap(), 3);
    let there = tx.assignments_at(id, &found).await.unwrap();
    assert_eq!(there, held);
    let gone: Vec<_> = there.iter().map(|one| one.id).collect();
    tx.delete_assignments(id, &gone).await.unwrap();
    tx.delete_nodes(id, &found).await.unwrap();
    world.commit(tx, &[id]).await;
    assert_eq!(reading(&store).await.nodes(id).await.unwrap().len(), 4);
}

pub async fn subtrees_of_one_environment_are_nothing_to_another(store: TestStore) {
    let (acme, zeta) = acme_and_zeta(&store).await;
    let eu = acme.development.eu.id;
    let held = acme.assignment(acme.ada(), &acme.development.reader, &acme.development.eu);
    acme.assign(store.as_ref(), &[held]).await;
    let nowhere = acme.maker.id::<EnvironmentId>();
    let mut tx = reading(&store).await;
    for other in [acme.production.id(), zeta.development.id(), nowhere] {
        assert_eq!(tx.children(other, eu).await.unwrap(), []);
        assert_eq!(tx.ancestors(other, eu).await.unwrap(), []);
        assert_eq!(tx.subtree(other, eu).await.unwrap(), []);
        assert_eq!(tx.subtree_height(other, eu).await.unwrap(), 0);
        assert_eq!(tx.node_uses(other, eu).await.unwrap(), NodeUses::default());
    }
    drop(tx);
    let mut tx = writing_in(&store, zeta.development.id()).await;
    tx.delete_nodes(zeta.development.id(), &[acme.development.berlin.id])
        .await
        .unwrap();
    zeta.commit(tx, &[zeta.development.id()]).await;
    let left = reading(&store).await.nodes(acme.development.id()).await.unwrap();
    assert_eq!(left.len(), 5);
}

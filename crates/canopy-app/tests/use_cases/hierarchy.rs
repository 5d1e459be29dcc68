use crate::calls;
use crate::calls::BulkMode;
use crate::world::{World, done, name, refused};
use canopy_app::AppError;
use canopy_domain::access::{Change, DenialReason, Target};
use canopy_domain::bulk::Outcome;
use canopy_domain::hierarchy::change::NodePatch;
use canopy_domain::hierarchy::create::{NewNode, ParentName};
use canopy_domain::hierarchy::schema_change::SchemaPatch;
use canopy_domain::*;
use std::collections::{BTreeMap, BTreeSet};

fn kind(text: &str) -> NodeType {
    NodeType::parse(text).unwrap()
}

fn schema(root: &str, child: &str) -> HierarchySchema {
    let allowed: BTreeMap<_, _> = [
        (kind(root), BTreeSet::from([kind(child)])),
        (kind(child), BTreeSet::from([kind(child)])),
    ]
    .into();
    HierarchySchema::new(vec![kind(root), kind(child)], allowed, 4, kind(root)).unwrap()
}

fn node(reference: &str, parent: ParentName, label: &str) -> NewNode {
    NewNode {
        reference: Some(reference.to_owned()),
        parent,
        node_type: kind("unit"),
        name: name(label),
        slug: None,
        metadata: JsonObject::default(),
    }
}

/// Makes the environment a hierarchy of `company` over `unit`s.
async fn grow(world: &World) -> Version {
    calls::change_access_model(&world.app, &world.call, &world.place, AccessModel::Hierarchy)
        .await
        .unwrap();
    let (_, seen) = canopy_app::hierarchy::get_hierarchy_schema(&world.app, &world.place)
        .await
        .unwrap();
    calls::change_hierarchy_schema(&world.app, &world.call, &world.place, &schema("company", "unit"), seen)
        .await
        .unwrap()
        .1
}

async fn create(world: &World, items: &[NewNode]) -> Vec<Outcome<Node, HierarchyError>> {
    calls::create_nodes(&world.app, &world.call, &world.place, items, BulkMode::SINGLE)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_tree_is_made_in_one_call_and_access_flows_down_it() {
    let world = World::new().await;
    let (viewer, _) = world.bootstrap().await;
    let ada = world.members(&["ada"]).await[0];
    assert_eq!(
        create(&world, &[node("a", ParentName::Id(world.root), "A")]).await,
        [Outcome::Refused(HierarchyError::Flat)]
    );
    grow(&world).await;
    let items = [
        node("team", ParentName::Reference("region".into()), "Team"),
        node("region", ParentName::Id(world.root), "Region"),
        node("other", ParentName::Id(world.root), "Region"),
    ];
    let made = done(&create(&world, &items).await);
    assert_eq!(
        made.iter().map(|n| n.slug.as_str()).collect::<Vec<_>>(),
        ["team", "region", "region-2"]
    );
    assert_eq!(made[0].parent, Some(made[1].id));
    let listed = canopy_app::hierarchy::list_nodes(&world.app, &world.place)
        .await
        .unwrap();
    assert_eq!(listed.len(), 4);
    assert_eq!(
        (listed[0].id, &listed[0].node_type),
        (world.root, &kind("company")),
        "the root was retyped"
    );

    let mut item = world.item(ada, viewer);
    item.key.node = made[1].id;
    world.assign(&[item]).await;
    for (place, expected) in [
        (made[0].id, None),
        (made[1].id, None),
        (made[2].id, Some(DenialReason::NoGrant)),
        (world.root, Some(DenialReason::NoGrant)),
    ] {
        assert_eq!(world.denial(ada, "note.read", Target::Node(place)).await, expected);
    }
    assert_eq!(world.denial(ada, "note.read", Target::AppWide).await, None);
}

#[tokio::test]
async fn a_bad_node_rolls_the_others_back() {
    let world = World::new().await;
    grow(&world).await;
    let before = world.history().await;
    let nowhere = ParentName::Id(uuid::Uuid::from_u128(404).into());
    let items = [
        node("good", ParentName::Id(world.root), "Good"),
        node("bad", nowhere, "Bad"),
        node("below", ParentName::Reference("bad".into()), "Below"),
    ];
    let rolled_back = Outcome::RolledBack { caused_by: vec![1] };
    let expected = [
        rolled_back.clone(),
        Outcome::Refused(HierarchyError::ParentNotFound),
        rolled_back,
    ];
    assert_eq!(create(&world, &items).await, expected);
    assert_eq!(world.history().await, before);
    let rival = world.neighbour().await;
    let theirs = create(&world, &[node("x", ParentName::Id(rival.root), "X")]).await;
    assert_eq!(theirs, [Outcome::Refused(HierarchyError::ParentNotFound)]);
    assert!(matches!(
        refused(canopy_app::hierarchy::get_node(&world.app, &world.place, rival.root).await),
        AppError::Hierarchy(HierarchyError::NodeNotFound)
    ));
}

#[tokio::test]
async fn a_schema_change_needs_the_version_and_a_tree_that_fits() {
    let world = World::new().await;
    let version = grow(&world).await;
    let made = done(&create(&world, &[node("a", ParentName::Id(world.root), "A")]).await);
    let change = |schema: HierarchySchema, seen: Version| {
        let (app, call, place) = (&world.app, &world.call, &world.place);
        async move { calls::change_hierarchy_schema(app, call, place, &schema, seen).await }
    };
    let stale = refused(change(schema("company", "unit"), Version::FIRST).await);
    assert!(matches!(stale, AppError::Hierarchy(HierarchyError::Stale { current }) if current == version));
    let before = world.history().await;
    let in_use = refused(change(schema("company", "team"), version).await);
    assert!(
        matches!(in_use, AppError::Hierarchy(HierarchyError::SchemaInUse { examples })
        if examples == [SchemaBreak { node: made[0].id, reason: SchemaBreakReason::UnknownNodeType }])
    );
    assert_eq!(world.history().await, before);
    assert_eq!(
        change(schema("holding", "unit"), version).await.unwrap(),
        (schema("holding", "unit"), version.next())
    );
    let root = canopy_app::hierarchy::get_node(&world.app, &world.place, world.root)
        .await
        .unwrap();
    assert_eq!((root.node_type, root.version.get()), (kind("holding"), 3));
    // What is absent stays, and what is left must still make sense.
    let partly = |patch: SchemaPatch| {
        let (app, call, place) = (&world.app, &world.call, &world.place);
        async move { calls::change_hierarchy_schema(app, call, place, patch, Expected::Any).await }
    };
    let before = schema("holding", "unit");
    let deeper = SchemaPatch {
        max_depth: Some(before.max_depth() + 1),
        ..SchemaPatch::default()
    };
    let (after, _) = partly(deeper).await.unwrap();
    assert_eq!(after.max_depth(), before.max_depth() + 1);
    assert_eq!(
        (after.node_types(), after.allowed_children(), after.root_node_type()),
        (before.node_types(), before.allowed_children(), before.root_node_type())
    );
    let rootless = SchemaPatch {
        node_types: Some(vec![kind("unit")]),
        ..SchemaPatch::default()
    };
    let refused = refused(partly(rootless).await);
    assert!(
        matches!(&refused, AppError::Hierarchy(HierarchyError::ContradictorySchema { errors })
            if errors.contains(&SchemaError::UnknownRootType)),
        "{refused}"
    );
}

#[tokio::test]
async fn the_way_back_to_flat_is_another_call() {
    let world = World::new().await;
    let model = |model| calls::change_access_model(&world.app, &world.call, &world.place, model);
    let before = world.history().await;
    model(AccessModel::Flat).await.unwrap();
    assert_eq!(world.history().await, before, "it is flat already");
    let environment = model(AccessModel::Hierarchy).await.unwrap();
    assert_eq!(
        (environment.access_model, environment.version.get()),
        (AccessModel::Hierarchy, 2)
    );
    let error = refused(model(AccessModel::Flat).await);
    assert!(matches!(error, AppError::Hierarchy(HierarchyError::RevertNeeded)));
}

/// Region A with teams B and C, and region D; their ids.
async fn four(world: &World) -> [NodeId; 4] {
    grow(world).await;
    let items = [
        node("a", ParentName::Id(world.root), "A"),
        node("b", ParentName::Reference("a".into()), "B"),
        node("c", ParentName::Reference("a".into()), "C"),
        node("d", ParentName::Id(world.root), "D"),
    ];
    let made = done(&create(world, &items).await);
    [0, 1, 2, 3].map(|place: usize| made[place].id)
}

async fn change(world: &World, id: NodeId, patch: &NodePatch, seen: Version) -> Result<Node, AppError> {
    calls::change_node(&world.app, &world.call, &world.place, id, patch, seen).await
}

async fn last_changes(world: &World) -> Vec<Change> {
    let (revision, _) = world.history().await;
    let before = Revision::new(revision.get() - 1);
    let mut tx = world.store.read().await.unwrap();
    tx.changes_since(world.place.environment, before, 1)
        .await
        .unwrap()
        .remove(0)
        .1
}

#[tokio::test]
async fn a_move_is_one_change_and_what_changes_nothing_none() {
    let world = World::new().await;
    let [a, b, _, d] = four(&world).await;
    let (revision, events) = world.history().await;
    for (id, patch, seen) in [
        (a, NodePatch::to(world.root), Version::FIRST),
        (b, NodePatch::default(), Version::FIRST),
    ] {
        assert_eq!(change(&world, id, &patch, seen).await.unwrap().version, Version::FIRST);
    }
    for (id, patch, seen) in [
        (a, NodePatch::to(b), Version::FIRST),
        (a, NodePatch::to(d), Version::FIRST.next()),
        (world.root, NodePatch::to(d), Version::FIRST.next()),
    ] {
        refused(change(&world, id, &patch, seen).await);
    }
    assert_eq!(world.history().await, (revision, events));
    let moved = change(&world, a, &NodePatch::to(d), Version::FIRST).await.unwrap();
    assert_eq!((moved.parent, moved.version), (Some(d), Version::FIRST.next()));
    assert_eq!(world.history().await, (revision.next(), events + 1));
    assert_eq!(last_changes(&world).await, [Change::NodePut((&moved).into())]);
}

#[tokio::test]
async fn of_two_moves_that_would_close_a_circle_one_wins() {
    let world = World::new().await;
    let [a, _, _, d] = four(&world).await;
    let (below_d, below_a) = (NodePatch::to(d), NodePatch::to(a));
    let (one, other) = tokio::join!(
        change(&world, a, &below_d, Version::FIRST),
        change(&world, d, &below_a, Version::FIRST)
    );
    assert!(one.is_ok() != other.is_ok());
    let lost = refused(one.and(other));
    assert!(matches!(lost, AppError::Hierarchy(HierarchyError::Cycle)));
    let tree = canopy_app::hierarchy::list_nodes(&world.app, &world.place)
        .await
        .unwrap();
    assert_eq!(tree.len(), 5, "every node hangs on the root");
}

#[tokio::test]
async fn a_branch_goes_assignments_first_and_then_leaves_first() {
    let world = World::new().await;
    let (viewer, editor) = world.bootstrap().await;
    let ada = world.members(&["ada"]).await[0];
    let [a, b, c, d] = four(&world).await;
    let at = |node, role| {
        let mut item = world.item(ada, role);
        item.key.node = node;
        item
    };
    let held = done(&world.assign(&[at(a, viewer), at(c, editor), at(d, viewer)]).await);
    let remove = |id, force| calls::remove_node(&world.app, &world.call, &world.place, id, force, Version::FIRST);
    let before = world.history().await;
    let in_use = refused(remove(a, false).await);
    let expected = HierarchyError::NodeInUse {
        children: 2,
        assignments: 1,
    };
    assert!(matches!(in_use, AppError::Hierarchy(error) if error == expected));
    refused(remove(world.root, true).await);
    assert_eq!(world.history().await, before);
    remove(a, true).await.unwrap();
    assert_eq!(world.history().await, (before.0.next(), before.1 + 1));
    let expected = [
        Change::GrantRemoved(held[0].id),
        Change::GrantRemoved(held[1].id),
        Change::NodeRemoved(c),
        Change::NodeRemoved(b),
        Change::NodeRemoved(a),
    ];
    assert_eq!(last_changes(&world).await, expected);
    for (node, expected) in [(a, Some(DenialReason::NodeNotFound)), (d, None)] {
        assert_eq!(world.denial(ada, "note.read", Target::Node(node)).await, expected);
    }
}

#[tokio::test]
async fn a_revert_is_one_change_and_a_dry_run_none() {
    let world = World::new().await;
    let (viewer, _) = world.bootstrap().await;
    let [ada, bob] = world.members(&["ada", "bob"]).await.try_into().unwrap();
    let [_, b, ..] = four(&world).await;
    let mut below = world.item(bob, viewer);
    below.key.node = b;
    world.assign(&[world.item(ada, viewer), below]).await;
    let before = world.history().await;
    let counts = calls::count_revert(&world.app, &world.call, &world.place)
        .await
        .unwrap();
    assert_eq!(world.history().await, before);
    assert_eq!(
        calls::revert_to_flat(&world.app, &world.call, &world.place)
            .await
            .unwrap(),
        counts
    );
    assert_eq!(
        (counts.moved, counts.nodes_deleted, counts.identities_gaining_reach),
        (1, 4, 1)
    );
    assert_eq!(world.history().await, (before.0.next(), before.1 + 1));
    assert_eq!(world.denial(bob, "note.read", Target::Node(world.root)).await, None);
    let again = refused(calls::revert_to_flat(&world.app, &world.call, &world.place).await);
    assert!(matches!(again, AppError::Hierarchy(HierarchyError::AlreadyFlat)));
}

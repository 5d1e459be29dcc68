//! Random operations. Small numbers stand for ids and values, so that operations often touch the same rows.

use canopy_domain::{AccessModel, MembershipStatus, NodeStatus};
use proptest::collection::vec;
use proptest::prelude::*;
use std::ops::Range;

/// A small number that stands for an id or a value. The same number is the same id in every environment.
pub type Number = u8;

/// The number of different ids and values of each kind.
const NUMBERS: Number = 8;

/// One unit of work.
#[derive(Debug, Clone)]
pub struct Unit {
    /// The writes, in order.
    pub operations: Vec<Operation>,
    /// The environments that its commit names; `None` when it is dropped.
    pub commit: Option<Vec<Number>>,
}

/// One call of a writer.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields are those of the rows, in their order")]
pub enum Operation {
    Account {
        id: Number,
        slug: Number,
    },
    Application {
        id: Number,
        account: Number,
        slug: Number,
    },
    UpdateApplication {
        id: Number,
        account: Number,
        slug: Number,
        settings: Number,
    },
    UpdateAccount {
        id: Number,
        slug: Number,
    },
    DeleteApplication {
        id: Number,
    },
    DeleteEnvironments {
        ids: Vec<Number>,
    },
    /// With its root.
    Environment {
        id: Number,
        application: Number,
        slug: Number,
    },
    UpdateEnvironment {
        id: Number,
        application: Number,
        slug: Number,
        model: AccessModel,
    },
    Permissions {
        environment: Number,
        rows: Vec<(Number, Number)>,
    },
    UpdatePermission {
        environment: Number,
        row: (Number, Number),
    },
    DeletePermissions {
        environment: Number,
        ids: Vec<Number>,
    },
    DeleteRoles {
        environment: Number,
        ids: Vec<Number>,
    },
    Roles {
        environment: Number,
        rows: Vec<(Number, Number, bool)>,
    },
    UpdateRole {
        environment: Number,
        row: (Number, Number, bool),
    },
    Bind {
        environment: Number,
        pairs: Vec<(Number, Number)>,
    },
    Unbind {
        environment: Number,
        pairs: Vec<(Number, Number)>,
    },
    /// Id, parent, slug.
    Nodes {
        environment: Number,
        rows: Vec<(Number, Number, Number)>,
    },
    UpdateNode {
        environment: Number,
        id: Number,
        slug: Number,
        status: NodeStatus,
    },
    DeleteNodes {
        environment: Number,
        ids: Vec<Number>,
    },
    /// Id, email, external id.
    Identities {
        account: Number,
        rows: Vec<(Number, Number, Option<Number>)>,
    },
    /// Id, email, external id.
    UpdateIdentity {
        account: Number,
        row: (Number, Number, Option<Number>),
    },
    /// With its memberships.
    DeleteIdentity {
        account: Number,
        id: Number,
    },
    /// Id, identity.
    Memberships {
        application: Number,
        rows: Vec<(Number, Number, MembershipStatus)>,
    },
    UpdateMemberships {
        application: Number,
        rows: Vec<(Number, Number, MembershipStatus)>,
    },
    Assignments {
        environment: Number,
        rows: Vec<AssignmentRow>,
    },
    UpdateAssignments {
        environment: Number,
        rows: Vec<AssignmentRow>,
    },
    DeleteAssignments {
        environment: Number,
        ids: Vec<Number>,
    },
    ApiKey {
        environment: Number,
        id: Number,
        digest: Number,
        is_full: bool,
    },
    ExpireApiKey {
        environment: Number,
        id: Number,
        hours: Number,
    },
    DeleteApiKey {
        environment: Number,
        id: Number,
    },
    /// Deletes all assignments of an identity in these environments.
    RevokeAll {
        environments: Vec<Number>,
        identity: Number,
    },
}

/// An assignment.
#[derive(Debug, Clone, Copy)]
pub struct AssignmentRow {
    /// Its id.
    pub id: Number,
    /// The identity.
    pub identity: Number,
    /// The role.
    pub role: Number,
    /// The node.
    pub node: Number,
    /// Hours from noon.
    pub from: i8,
    /// Hours from the start.
    pub lasts: Option<u8>,
}

/// Generates this many units of work.
pub fn any_units(how_many: Range<usize>) -> impl Strategy<Value = Vec<Unit>> {
    vec(any_unit(), how_many)
}

/// Generates a unit of work; most of them commit.
pub fn any_unit() -> impl Strategy<Value = Unit> {
    // Numbers over the first four name environments that most sequences do not have.
    let touched = prop_oneof![12 => vec(0..4_u8, 0..3), 1 => vec(0..NUMBERS, 0..3)];
    let commit = prop_oneof![5 => touched.prop_map(Some), 1 => Just(None)];
    (vec(any_operation(), 1..8), commit).prop_map(|(operations, commit)| Unit { operations, commit })
}

/// Generates a call of a writer; calls deep in the tree of tenants are more frequent.
pub fn any_operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        2 => any_tenancy(),
        5 => any_catalog(),
        3 => any_node(),
        4 => any_identity(),
        8 => any_assignment(),
        2 => any_api_key(),
    ]
}

/// Generates a number that mostly exists from the start.
fn known() -> impl Strategy<Value = Number> {
    prop_oneof![12 => 0..3_u8, 1 => 0..NUMBERS]
}

/// Generates a number of a row that may not exist yet.
fn fresh() -> impl Strategy<Value = Number> {
    prop_oneof![1 => 0..3_u8, 4 => 3..NUMBERS]
}

/// Generates mostly one of the environments that share an application.
fn environment() -> impl Strategy<Value = Number> {
    prop_oneof![8 => 0..2_u8, 3 => 2..4_u8, 1 => 0..NUMBERS]
}

/// Generates a pair that belongs together, and sometimes one that does not.
fn belonging(pairs: &'static [(Number, Number)]) -> impl Strategy<Value = (Number, Number)> {
    prop_oneof![8 => prop::sample::select(pairs), 1 => (0..NUMBERS, 0..NUMBERS)]
}

fn any_tenancy() -> impl Strategy<Value = Operation> {
    let application = || belonging(&[(0, 0), (1, 1), (2, 0)]);
    let placed = || belonging(&[(0, 0), (1, 0), (2, 1), (3, 2)]);
    let model = prop_oneof![Just(AccessModel::Flat), Just(AccessModel::Hierarchy)];
    let three = || (fresh(), known(), fresh());
    prop_oneof![
        4 => (fresh(), fresh()).prop_map(|(id, slug)| Operation::Account { id, slug }),
        2 => (known(), fresh()).prop_map(|(id, slug)| Operation::UpdateAccount { id, slug }),
        1 => fresh().prop_map(|id| Operation::DeleteApplication { id }),
        1 => vec(fresh(), 0..3).prop_map(|ids| Operation::DeleteEnvironments { ids }),
        4 => three().prop_map(|(id, account, slug)| Operation::Application { id, account, slug }),
        4 => (application(), fresh(), fresh()).prop_map(|((id, account), slug, settings)| Operation::UpdateApplication {
            id,
            account,
            slug,
            settings
        }),
        4 => three().prop_map(|(id, application, slug)| Operation::Environment { id, application, slug }),
        4 => (placed(), fresh(), model).prop_map(|((id, application), slug, model)| Operation::UpdateEnvironment {
            id,
            application,
            slug,
            model
        }),
    ]
}

fn any_catalog() -> impl Strategy<Value = Operation> {
    let pairs = || vec((known(), known()), 0..4);
    let rows = vec((fresh(), fresh()), 0..3);
    let role = |id| (id, fresh(), any::<bool>());
    let some = || vec(known(), 0..3);
    prop_oneof![
        (environment(), rows).prop_map(|(environment, rows)| Operation::Permissions { environment, rows }),
        (environment(), (known(), fresh()))
            .prop_map(|(environment, row)| Operation::UpdatePermission { environment, row }),
        (environment(), some()).prop_map(|(environment, ids)| Operation::DeletePermissions { environment, ids }),
        (environment(), some()).prop_map(|(environment, ids)| Operation::DeleteRoles { environment, ids }),
        (environment(), vec(role(fresh().boxed()), 0..3))
            .prop_map(|(environment, rows)| Operation::Roles { environment, rows }),
        (environment(), role(known().boxed()))
            .prop_map(|(environment, row)| Operation::UpdateRole { environment, row }),
        (environment(), pairs()).prop_map(|(environment, pairs)| Operation::Bind { environment, pairs }),
        (environment(), pairs()).prop_map(|(environment, pairs)| Operation::Unbind { environment, pairs }),
    ]
}

fn any_node() -> impl Strategy<Value = Operation> {
    let rows = vec((fresh(), known(), fresh()), 0..3);
    let status = prop_oneof![Just(NodeStatus::Active), Just(NodeStatus::Inactive)];
    prop_oneof![
        (environment(), rows).prop_map(|(environment, rows)| Operation::Nodes { environment, rows }),
        (environment(), vec(1..NUMBERS, 0..3))
            .prop_map(|(environment, ids)| Operation::DeleteNodes { environment, ids }),
        (environment(), known(), fresh(), status).prop_map(|(environment, id, slug, status)| Operation::UpdateNode {
            environment,
            id,
            slug,
            status
        }),
    ]
}

fn any_identity() -> impl Strategy<Value = Operation> {
    let identities = vec((fresh(), fresh(), proptest::option::of(fresh())), 0..3);
    let status = || prop::sample::select(MembershipStatus::ALL);
    let rows = |pairs: BoxedStrategy<(Number, Number)>| {
        vec(
            (pairs, status()).prop_map(|((id, identity), status)| (id, identity, status)),
            0..3,
        )
    };
    let joining = rows((fresh(), 0..NUMBERS).boxed());
    let joined = rows(belonging(&[(0, 0), (1, 1), (2, 2)]).boxed());
    let application = || prop_oneof![3 => Just(0_u8), 2 => 0..3_u8];
    let account = || prop_oneof![4 => Just(0_u8), 1 => known()];
    let changed = (known(), fresh(), proptest::option::of(fresh()));
    prop_oneof![
        3 => (account(), identities).prop_map(|(account, rows)| Operation::Identities { account, rows }),
        2 => (account(), changed).prop_map(|(account, row)| Operation::UpdateIdentity { account, row }),
        1 => (account(), 0..NUMBERS).prop_map(|(account, id)| Operation::DeleteIdentity { account, id }),
        3 => (application(), joining).prop_map(|(application, rows)| Operation::Memberships { application, rows }),
        3 => (application(), joined).prop_map(|(application, rows)| Operation::UpdateMemberships { application, rows }),
    ]
}

fn any_api_key() -> impl Strategy<Value = Operation> {
    prop_oneof![
        (environment(), 0..NUMBERS, 0..NUMBERS, any::<bool>()).prop_map(|(environment, id, digest, is_full)| {
            Operation::ApiKey {
                environment,
                id,
                digest,
                is_full,
            }
        }),
        (environment(), 0..NUMBERS, 0..NUMBERS).prop_map(|(environment, id, hours)| Operation::ExpireApiKey {
            environment,
            id,
            hours
        }),
        (environment(), 0..NUMBERS).prop_map(|(environment, id)| Operation::DeleteApiKey { environment, id }),
    ]
}

fn any_assignment() -> impl Strategy<Value = Operation> {
    let row = |id: BoxedStrategy<Number>| {
        let row = ((id, known(), known(), known()), -2..3_i8, proptest::option::of(1..4_u8));
        row.prop_map(|((id, identity, role, node), from, lasts)| AssignmentRow {
            id,
            identity,
            role,
            node,
            from,
            lasts,
        })
    };
    let some = || (0..4_u8).boxed();
    prop_oneof![
        4 => (environment(), vec(row((0..NUMBERS).boxed()), 0..4))
            .prop_map(|(environment, rows)| Operation::Assignments { environment, rows }),
        3 => (environment(), vec(row(some()), 0..3))
            .prop_map(|(environment, rows)| Operation::UpdateAssignments { environment, rows }),
        1 => (environment(), vec(some(), 0..3))
            .prop_map(|(environment, ids)| Operation::DeleteAssignments { environment, ids }),
        1 => (vec(environment(), 0..4), known())
            .prop_map(|(environments, identity)| Operation::RevokeAll { environments, identity }),
    ]
}

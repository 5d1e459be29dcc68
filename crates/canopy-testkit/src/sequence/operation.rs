//! What is done to stores: small numbers stand for ids and values, so that they often meet.

use canopy_domain::{AccessModel, MembershipStatus, NodeStatus};
use proptest::collection::vec;
use proptest::prelude::*;
use std::ops::Range;

/// A small number that stands for an id or a value. The same number is the same id in every environment.
pub type Number = u8;

/// How many numbers there are of each kind.
const NUMBERS: Number = 6;

/// One unit of work.
#[derive(Debug, Clone)]
pub struct Unit {
    /// What it writes, in order.
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
    /// Id, email, external id.
    Identities {
        account: Number,
        rows: Vec<(Number, Number, Option<Number>)>,
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
}

/// An assignment.
#[derive(Debug, Clone, Copy)]
pub struct AssignmentRow {
    /// Its id.
    pub id: Number,
    /// Who.
    pub identity: Number,
    /// As what.
    pub role: Number,
    /// Where.
    pub node: Number,
    /// Hours from noon.
    pub from: i8,
    /// Hours from the start.
    pub lasts: Option<u8>,
}

/// Units of work, so many.
pub fn any_units(how_many: Range<usize>) -> impl Strategy<Value = Vec<Unit>> {
    vec(any_unit(), how_many)
}

/// A unit of work; most of them commit.
pub fn any_unit() -> impl Strategy<Value = Unit> {
    // Numbers over the first four name environments that most sequences do not have.
    let touched = prop_oneof![12 => vec(0..4_u8, 0..3), 1 => vec(0..NUMBERS, 0..3)];
    let commit = prop_oneof![5 => touched.prop_map(Some), 1 => Just(None)];
    (vec(any_operation(), 0..6), commit).prop_map(|(operations, commit)| Unit { operations, commit })
}

/// A call of a writer; calls deep in the tree of tenants come more often.
pub fn any_operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        2 => any_tenancy(),
        5 => any_catalog(),
        3 => any_node(),
        4 => any_identity(),
        8 => any_assignment(),
    ]
}

fn number() -> impl Strategy<Value = Number> {
    // Small numbers are there more often.
    prop_oneof![3 => 0..3_u8, 1 => 0..NUMBERS]
}

fn any_tenancy() -> impl Strategy<Value = Operation> {
    let three = || (number(), number(), number());
    let model = prop_oneof![Just(AccessModel::Flat), Just(AccessModel::Hierarchy)];
    prop_oneof![
        (number(), number()).prop_map(|(id, slug)| Operation::Account { id, slug }),
        three().prop_map(|(id, account, slug)| Operation::Application { id, account, slug }),
        (three(), number()).prop_map(|((id, account, slug), settings)| Operation::UpdateApplication {
            id,
            account,
            slug,
            settings
        }),
        three().prop_map(|(id, application, slug)| Operation::Environment { id, application, slug }),
        (three(), model).prop_map(|((id, application, slug), model)| Operation::UpdateEnvironment {
            id,
            application,
            slug,
            model
        }),
    ]
}

fn any_catalog() -> impl Strategy<Value = Operation> {
    let pairs = || vec((number(), number()), 0..4);
    let role = || (number(), number(), any::<bool>());
    prop_oneof![
        (number(), pairs()).prop_map(|(environment, rows)| Operation::Permissions { environment, rows }),
        (number(), vec(role(), 0..4)).prop_map(|(environment, rows)| Operation::Roles { environment, rows }),
        (number(), role()).prop_map(|(environment, row)| Operation::UpdateRole { environment, row }),
        (number(), pairs()).prop_map(|(environment, pairs)| Operation::Bind { environment, pairs }),
        (number(), pairs()).prop_map(|(environment, pairs)| Operation::Unbind { environment, pairs }),
    ]
}

fn any_node() -> impl Strategy<Value = Operation> {
    let rows = vec((number(), number(), number()), 0..4);
    let status = prop_oneof![Just(NodeStatus::Active), Just(NodeStatus::Inactive)];
    prop_oneof![
        (number(), rows).prop_map(|(environment, rows)| Operation::Nodes { environment, rows }),
        (number(), number(), number(), status).prop_map(|(environment, id, slug, status)| Operation::UpdateNode {
            environment,
            id,
            slug,
            status
        }),
    ]
}

fn any_identity() -> impl Strategy<Value = Operation> {
    let identities = vec((number(), number(), proptest::option::of(number())), 0..4);
    let status = || prop::sample::select(MembershipStatus::ALL);
    let memberships = || vec((number(), number(), status()), 0..4);
    prop_oneof![
        (number(), identities).prop_map(|(account, rows)| Operation::Identities { account, rows }),
        (number(), memberships()).prop_map(|(application, rows)| Operation::Memberships { application, rows }),
        (number(), memberships()).prop_map(|(application, rows)| Operation::UpdateMemberships { application, rows }),
    ]
}

fn any_assignment() -> impl Strategy<Value = Operation> {
    let row = || {
        let numbers = (number(), number(), number(), number());
        let row = (numbers, -2..3_i8, proptest::option::of(1..4_u8));
        row.prop_map(|((id, identity, role, node), from, lasts)| AssignmentRow {
            id,
            identity,
            role,
            node,
            from,
            lasts,
        })
    };
    let rows = || vec(row(), 0..4);
    prop_oneof![
        3 => (number(), rows()).prop_map(|(environment, rows)| Operation::Assignments { environment, rows }),
        2 => (number(), rows()).prop_map(|(environment, rows)| Operation::UpdateAssignments { environment, rows }),
        1 => (number(), vec(number(), 0..3))
            .prop_map(|(environment, ids)| Operation::DeleteAssignments { environment, ids }),
    ]
}

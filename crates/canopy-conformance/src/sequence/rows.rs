//! The rows that operations write: ids, values and entities, each derived from small numbers.

use super::operation::{AssignmentRow, Number};
use canopy_domain::api_key::{ApiKey, KeyAccess};
use canopy_domain::{
    AccessModel, Account, AccountId, Application, ApplicationId, Assignment, AssignmentKey, DisplayName, Environment,
    HierarchySchema, Identity, Membership, MembershipStatus, Node, NodeStatus, Permission, Role, RoleKind, Timestamp,
    Version, Window,
};
use canopy_testkit::clock::noon;
use canopy_testkit::fixture::{Maker, company_schema, email, external_id, json, key_scopes, person, role_name, slug};
use canopy_testkit::ids::counted_id;
use uuid::Uuid;

/// The kinds of ids; each has its own series.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Account,
    Application,
    Environment,
    Permission,
    Role,
    Node,
    Identity,
    Membership,
    Assignment,
    ApiKey,
}

pub(super) fn id<Id: From<Uuid>>(kind: Kind, number: Number) -> Id {
    let series = 100
        + match kind {
            Kind::Account => 0,
            Kind::Application => 1,
            Kind::Environment => 2,
            Kind::Permission => 3,
            Kind::Role => 4,
            Kind::Node => 5,
            Kind::Identity => 6,
            Kind::Membership => 7,
            Kind::Assignment => 8,
            Kind::ApiKey => 10,
        };
    Id::from(counted_id(series, u64::from(number)))
}

pub(super) fn all<Id: From<Uuid>>(kind: Kind, numbers: &[Number]) -> Vec<Id> {
    numbers.iter().map(|number| id(kind, *number)).collect()
}

/// Returns one of a few odd values, selected by the number.
pub(super) fn pick<T: Copy, const N: usize>(values: [T; N], number: Number) -> T {
    values
        .get(usize::from(number) % N)
        .copied()
        .expect("a number below the size")
}

pub(super) fn slug_of(number: Number) -> canopy_domain::Slug {
    slug(pick(["a", "a-2", "ab", "b", "a-b", "0"], number))
}

pub(super) fn name_of(number: Number) -> DisplayName {
    canopy_testkit::fixture::name(pick(["A%", "a_", "Ä \\ 🌳", "b'", "B\"", "a,b"], number))
}

pub(super) fn later(number: Number) -> Timestamp {
    noon().plus_seconds(i64::from(number % 3))
}

pub(super) fn version(number: Number) -> Version {
    Version::new(u32::from(number) + 1).expect("not zero")
}

pub(super) fn account(number: Number, slug: Number) -> Account {
    Account {
        id: id::<AccountId>(Kind::Account, number),
        name: name_of(number),
        slug: slug_of(slug),
        settings: json("{}"),
        version: Version::FIRST,
        created_at: later(number),
        updated_at: noon(),
    }
}

pub(super) fn application(number: Number, account: Number, slug: Number, settings: Number) -> Application {
    Application {
        id: id::<ApplicationId>(Kind::Application, number),
        account_id: id(Kind::Account, account),
        name: name_of(slug),
        slug: slug_of(slug),
        settings: json(&format!("{{\"n\":{settings}}}")),
        default_environment_id: None,
        version: version(settings),
        created_at: noon(),
        updated_at: later(settings),
    }
}

pub(super) fn environment(
    number: Number,
    application: Number,
    slug: Number,
    model: AccessModel,
) -> (Environment, HierarchySchema) {
    let schema = match model {
        AccessModel::Flat => HierarchySchema::default(),
        AccessModel::Hierarchy => company_schema(),
    };
    let environment = Environment {
        id: id(Kind::Environment, number),
        application_id: id(Kind::Application, application),
        name: name_of(slug),
        slug: slug_of(slug),
        settings: json("{}"),
        access_model: model,
        version: version(slug),
        created_at: noon(),
        updated_at: later(slug),
    };
    (environment, schema)
}

pub(super) fn permission(environment: Number, (number, key): (Number, Number)) -> Permission {
    let keys = ["a.b", "A.b", "a.b.c", "a_b.c", "a-b.c", "b.a"];
    let maker = Maker::default();
    Permission {
        id: id(Kind::Permission, number),
        ..maker.permission(id(Kind::Environment, environment), pick(keys, key))
    }
}

pub(super) fn api_key(environment: Number, number: Number, is_full: bool) -> ApiKey {
    let access = if is_full {
        KeyAccess::Full
    } else {
        key_scopes(&["role.manage", "a.b", "A.b"])
    };
    ApiKey {
        id: id(Kind::ApiKey, number),
        ..Maker::default().api_key(id(Kind::Environment, environment), access)
    }
}

pub(super) fn role(environment: Number, (number, name, is_active): (Number, Number, bool)) -> Role {
    let names = ["Role", "role 2", "Ärzte", "ROLE", "ärzte", "other"];
    Role {
        id: id(Kind::Role, number),
        environment_id: id(Kind::Environment, environment),
        name: role_name(pick(names, name)),
        description: None,
        kind: RoleKind::Custom,
        is_active,
        version: version(name),
        created_at: noon(),
        updated_at: later(name),
    }
}

pub(super) fn node(environment: Number, number: Number, parent: Number, slug: Number, status: NodeStatus) -> Node {
    Node {
        id: id(Kind::Node, number),
        environment_id: id(Kind::Environment, environment),
        parent: Some(id(Kind::Node, parent)),
        node_type: canopy_testkit::fixture::node_type(pick(["root", "company", "region"], number)),
        name: name_of(slug),
        slug: slug_of(slug),
        status,
        metadata: json("{}"),
        version: version(slug),
        created_at: noon(),
        updated_at: later(slug),
    }
}

/// Returns a number of an identity that no other account has: stores may miss an id that two accounts share.
pub(super) fn number_within(account: Number, number: Number) -> Number {
    match account {
        0 if number % 4 == 3 => number - 1,
        0 => number,
        1 => number | 3,
        other => 10 * other + number,
    }
}

pub(super) fn identity(account: Number, (number, address, external): (Number, Number, Option<Number>)) -> Identity {
    let addresses = ["a@x", "b_%@x", "ü@x", "A@X", "b@x", "z@x"];
    let names = ["Ada", "ada", "Ä_%", "Bob", "a b", "Zoë"];
    let externals = ["e", "E", "e2", "e%", "é", "e\u{301}"];
    Identity {
        id: id(Kind::Identity, number),
        account_id: id(Kind::Account, account),
        email: email(pick(addresses, address)),
        first_name: person(pick(names, number)),
        last_name: person(pick(names, address)),
        avatar_url: None,
        external_id: external.map(|number| external_id(pick(externals, number))),
        metadata: None,
        is_active: address != 2,
        created_at: later(address),
        updated_at: noon(),
    }
}

pub(super) fn membership(
    application: Number,
    (number, identity, status): (Number, Number, MembershipStatus),
) -> Membership {
    Membership {
        id: id(Kind::Membership, number),
        identity_id: id(Kind::Identity, identity),
        application_id: id(Kind::Application, application),
        status,
        invited_at: None,
        activated_at: (status == MembershipStatus::Active).then(noon),
        deactivated_at: None,
        created_at: noon(),
    }
}

pub(super) fn assignment(environment: Number, row: AssignmentRow) -> Assignment {
    let from = noon().plus_seconds(i64::from(row.from) * 3_600);
    let to = row.lasts.map(|hours| from.plus_seconds(i64::from(hours) * 3_600));
    Assignment {
        id: id(Kind::Assignment, row.id),
        environment_id: id(Kind::Environment, environment),
        key: AssignmentKey {
            identity: id(Kind::Identity, row.identity),
            role: id(Kind::Role, row.role),
            node: id(Kind::Node, row.node),
        },
        window: Window::new(from, to).expect("an end after the start"),
        created_at: later(row.id),
        updated_at: noon(),
    }
}

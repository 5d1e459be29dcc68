//! A small customer, made by the use cases themselves.

use crate::calls;
use crate::calls::BulkMode;
use canopy_app::access::{Asker, evaluate};
use canopy_app::decisions::Consistency;
use canopy_app::session::{AskedEnvironment, Credential};
use canopy_app::tenancy::NewTenant;
use canopy_app::{App, AppError, Call, Caller};
use canopy_domain::access::{DenialReason, Question, Target};
use canopy_domain::assignment::bulk_create::NewAssignment;
use canopy_domain::audit::StoredAuditEvent;
use canopy_domain::audit::listing::AuditQuery;
use canopy_domain::bulk::Outcome;
use canopy_domain::identity::create::NewIdentity;
use canopy_domain::port::{Store, VerifiedToken};
use canopy_domain::role::change::RolePatch;
use canopy_domain::role::listing::RoleQuery;
use canopy_domain::setup::bootstrap::{BootstrapRequest, BootstrapRole};
use canopy_domain::*;
use canopy_storage_memory::MemoryStore;
use canopy_testkit::{CountingIds, CountingSecrets, FixedClock};
use std::sync::Arc;

/// One account with an environment, and everything that tests look at.
pub struct World {
    pub app: App,
    pub store: Arc<dyn Store>,
    pub clock: FixedClock,
    pub call: Call,
    pub place: EnvironmentRef,
    /// The same, to ask about.
    pub asked: AskedEnvironment,
    pub root: NodeId,
}

pub fn name(text: &str) -> DisplayName {
    DisplayName::parse(text).unwrap()
}

pub fn slug(text: &str) -> Slug {
    Slug::parse(text).unwrap()
}

pub fn key(text: &str) -> PermissionKey {
    PermissionKey::parse(text).unwrap()
}

pub fn operator() -> Call {
    Call::new(Caller::Operator { subject: "root".into() }, "request-1".to_owned())
}

pub fn tenant(text: &str) -> NewTenant {
    NewTenant {
        name: name(text),
        slug: Some(slug(text)),
    }
}

pub fn done<T: Clone + core::fmt::Debug, E: core::fmt::Debug>(outcomes: &[Outcome<T, E>]) -> Vec<T> {
    outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Done(item) => item.clone(),
            other => panic!("not done: {other:?}"),
        })
        .collect()
}

pub async fn environment(
    app: &App,
    caller: &Caller,
    slugs: (&'static str, &'static str, &'static str),
) -> Result<EnvironmentRef, AppError> {
    app.sessions().resolve(caller, slugs.into()).await
}

pub async fn by_token(app: &App, token: impl Into<VerifiedToken>) -> Result<Caller, AppError> {
    let credential: Credential<String> = Credential::Token(token.into());
    app.sessions().authenticate(&credential).await
}

pub async fn by_key(app: &App, text: &str) -> Result<Caller, AppError> {
    app.sessions().authenticate(&Credential::Key(text)).await
}

impl World {
    /// Account `acme` with its application `default`, on a fresh in-memory store.
    pub async fn new() -> Self {
        Self::on(Arc::new(MemoryStore::strict())).await
    }

    pub async fn on(store: Arc<dyn Store>) -> Self {
        let clock = FixedClock::default();
        let app = App::new(
            Arc::clone(&store),
            Arc::new(clock.clone()),
            Arc::new(CountingIds::default()),
            CountingSecrets::default(),
        );
        let call = operator();
        let account = calls::create_account(&app, &call, &tenant("acme")).await.unwrap();
        let (place, root) = first_environment(&app, &store, account.id).await;
        Self {
            app,
            store,
            clock,
            call,
            place,
            asked: place.into(),
            root,
        }
    }

    /// A second account in the same store.
    pub async fn neighbour(&self) -> Self {
        let account = calls::create_account(&self.app, &self.call, &tenant("rival"))
            .await
            .unwrap();
        let (place, root) = first_environment(&self.app, &self.store, account.id).await;
        Self {
            app: self.app.clone(),
            store: Arc::clone(&self.store),
            clock: self.clock.clone(),
            call: self.call.clone(),
            place,
            asked: place.into(),
            root,
        }
    }

    /// Permissions `note.read` and `note.write`, role `Viewer` with the first and `Editor` with both.
    pub async fn bootstrap(&self) -> (RoleId, RoleId) {
        let role = |role: &str, keys: &[&str]| BootstrapRole {
            name: RoleName::parse(role).unwrap(),
            description: None,
            permission_keys: keys.iter().map(|text| key(text)).collect(),
        };
        let request = BootstrapRequest {
            permission_keys: vec![key("note.read"), key("note.write")],
            roles: vec![
                role("Viewer", &["note.read"]),
                role("Editor", &["note.read", "note.write"]),
            ],
        };
        calls::bootstrap_environment(&self.app, &self.call, &self.place, &request)
            .await
            .unwrap();
        (self.role("Viewer").await, self.role("Editor").await)
    }

    pub async fn role(&self, wanted: &str) -> RoleId {
        let query = RoleQuery {
            include_inactive: true,
            kind: None,
        };
        let roles = canopy_app::role::list_roles(&self.app, &self.place, &query)
            .await
            .unwrap();
        roles
            .iter()
            .find(|view| view.role.name.as_str() == wanted)
            .unwrap()
            .role
            .id
    }

    /// New active members of the environment's application.
    pub async fn members(&self, names: &[&str]) -> Vec<IdentityId> {
        let items: Vec<NewIdentity> = names.iter().map(|name| person(name)).collect();
        let application = Some(self.place.application);
        let outcomes = calls::create_identities(
            &self.app,
            &self.call,
            self.place.account,
            application,
            &items,
            BulkMode::SINGLE,
        )
        .await
        .unwrap();
        done(&outcomes).into_iter().map(|identity| identity.id).collect()
    }

    pub fn item(&self, identity: IdentityId, role: RoleId) -> NewAssignment {
        NewAssignment {
            key: AssignmentKey {
                identity,
                role,
                node: self.root,
            },
            from: None,
            to: None,
        }
    }

    pub async fn assign(&self, items: &[NewAssignment]) -> Vec<Outcome<Assignment, AssignmentError>> {
        calls::create_assignments(&self.app, &self.call, &self.place, items, BulkMode::SINGLE)
            .await
            .unwrap()
    }

    /// The default caller.
    pub const fn asker(&self) -> Asker<'_> {
        Asker {
            caller: &self.call.caller,
            environment: &self.asked,
        }
    }

    /// Returns the reason of a denial, or `None` if the check is allowed.
    pub async fn denial(&self, identity: IdentityId, permission: &str, target: Target) -> Option<DenialReason> {
        let question = Question {
            identity,
            permission,
            target,
        };
        evaluate::evaluate(
            &self.app,
            self.asker(),
            &question,
            None,
            Consistency::Strong,
            |answer| answer.decision.denial_reason(),
        )
        .await
        .unwrap()
    }

    /// The environment's revision and the number of audit events of its account: what every write raises.
    pub async fn history(&self) -> (Revision, usize) {
        let mut tx = self.store.read().await.unwrap();
        let revision = tx.revision(self.place.environment).await.unwrap().unwrap();
        (
            revision,
            tx.audit_events(self.place.account, &AuditQuery::newest(10_000))
                .await
                .unwrap()
                .len(),
        )
    }

    /// The newest audit event of the account.
    pub async fn last_event(&self) -> StoredAuditEvent {
        let mut tx = self.store.read().await.unwrap();
        let newest = tx.audit_events(self.place.account, &AuditQuery::newest(1)).await;
        newest.unwrap().remove(0)
    }

    /// Deactivates a role.
    pub async fn switch_role_off(&self, id: RoleId) {
        let role = canopy_app::role::get_role(&self.app, &self.place, id).await.unwrap();
        let off = RolePatch {
            is_active: Some(false),
            ..RolePatch::default()
        };
        calls::change_role(&self.app, &self.call, &self.place, id, role.version, &off)
            .await
            .unwrap();
    }
}

async fn first_environment(app: &App, store: &Arc<dyn Store>, account: AccountId) -> (EnvironmentRef, NodeId) {
    let application = canopy_app::tenancy::list_applications(app, account)
        .await
        .unwrap()
        .remove(0);
    let place = ApplicationRef {
        account,
        application: application.id,
    };
    let environment = canopy_app::tenancy::list_environments(app, place)
        .await
        .unwrap()
        .remove(0);
    let place = EnvironmentRef {
        account,
        application: application.id,
        environment: environment.id,
    };
    let root = store
        .read()
        .await
        .unwrap()
        .root_node(environment.id)
        .await
        .unwrap()
        .unwrap();
    (place, root.id)
}

pub fn person(first: &str) -> NewIdentity {
    NewIdentity {
        email: Email::parse(&format!("{first}@acme.example")).unwrap(),
        first_name: PersonName::parse(first).unwrap(),
        last_name: PersonName::parse("Example").unwrap(),
        avatar_url: None,
        external_id: None,
        metadata: None,
    }
}

/// The error of a use case that must fail.
pub fn refused<T: core::fmt::Debug>(result: Result<T, AppError>) -> AppError {
    result.expect_err("the use case must refuse this")
}

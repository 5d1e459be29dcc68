//! Replaces the contents of an environment by a document.

use super::{Imported, aside, contents, lost};
use crate::audit::described::{self, Details, ListChange, Step};
use crate::audit_entry::AuditEntry;
use crate::{AppError, Moment, Plan, Write};
use async_trait::async_trait;
use canopy_domain::api_key::AreaScope;
use canopy_domain::audit::{AuditCategory, AuditSeverity, Detail};
use canopy_domain::port::{LockScope, ReadTx};
use canopy_domain::tenancy::change::check;
use canopy_domain::transfer::plan::{self, RowChanges};
use canopy_domain::transfer::{Contents, Document};
use canopy_domain::{AssignmentId, EnvironmentRef, PermissionId, PermissionKey, RoleId, Tenant};
use core::fmt::Display;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Replaces the contents of the environment by the document, in one transaction. Resources of the same name keep their
/// assignments; resources missing in the document are deleted with their assignments. A document without differences
/// writes nothing.
///
/// Fails with [`TenancyError::Stale`](canopy_domain::TenancyError::Stale) if the call expects another version, with
/// [`AppError::Catalog`] or [`AppError::Store`].
#[derive(Debug, Clone)]
pub struct ImportEnvironment {
    /// The environment.
    pub environment: EnvironmentRef,
    /// The document.
    pub document: Arc<Document>,
}

#[async_trait]
impl Write for ImportEnvironment {
    type Outcome = Imported;

    const REQUIRES: Option<AreaScope> = None;

    fn lock(&self) -> LockScope {
        LockScope::Environment(self.environment)
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<Imported>, AppError> {
        let id = self.environment.environment;
        let before = contents(facts, id).await?;
        check(Tenant::Environment, before.environment.version, at.expected())?;
        at.catalog_limits()
            .admit(before.catalog_size(), self.document.catalog_size())?;
        let (document, now, mint) = (Arc::clone(&self.document), at.now(), at.ids());
        let (before, plan) = aside(move || {
            let plan = plan::plan(&document, &before, now, &mut || mint());
            (before, plan)
        })
        .await?;
        let lost = lost(facts, id, &plan).await?;
        let imported = imported(&before, &plan, &lost);
        if plan.is_empty() {
            return Ok(Plan::unchanged(imported));
        }
        let held = facts.assignments(id, &lost).await?;
        let mut details = at.details();
        let steps: Vec<Step<'_>> = held.iter().map(Step::Revoked).collect();
        details.assignments(facts, &self.environment, &steps).await?;
        let (plan, changes, details) = aside(move || {
            key_details(&plan, &before, &mut details);
            let changes = plan.change_set(&before, held);
            (plan, changes, details)
        })
        .await?;
        let entry = AuditEntry::within(&self.environment, "environment.import", AuditCategory::Tenancy)
            .resource("environment", id, &imported.environment.name)
            .severity(AuditSeverity::Warning)
            .detail(metadata(&plan, &lost, &imported))
            .detailing(details);
        Ok(Plan::new(changes, imported, entry))
    }
}

fn imported(before: &Contents, plan: &plan::Plan, lost: &[AssignmentId]) -> Imported {
    let environment = plan.environment.as_ref().unwrap_or(&before.environment).clone();
    Imported {
        access_model_changed: environment.access_model != before.environment.access_model,
        hierarchy_schema_changed: plan.schema != before.schema,
        environment,
        permissions: (&plan.permissions).into(),
        roles: (&plan.roles).into(),
        nodes: (&plan.nodes).into(),
        assignments_removed: lost.len(),
    }
}

fn metadata(plan: &plan::Plan, lost: &[AssignmentId], imported: &Imported) -> Vec<(&'static str, Detail)> {
    vec![
        ("access_model", Detail::text(imported.environment.access_model)),
        (
            "hierarchy_schema_changed",
            Detail::Flag(imported.hierarchy_schema_changed),
        ),
        ("permissions", ids(&plan.permissions, |one| one.id)),
        ("roles", ids(&plan.roles, |one| one.role.id)),
        ("nodes", ids(&plan.nodes, |one| one.id)),
        ("removed_assignment_ids", described::first(lost)),
    ]
}

/// Adds the keys that the catalog and the roles gain and lose.
pub(crate) fn key_details(plan: &plan::Plan, before: &Contents, details: &mut Details) {
    let known = before.permissions.iter().chain(&plan.permissions.added);
    let keys: HashMap<PermissionId, &PermissionKey> = known.map(|one| (one.id, &one.key)).collect();
    let bundles: HashMap<RoleId, &BTreeSet<PermissionId>> =
        before.roles.iter().map(|one| (one.role.id, &one.permissions)).collect();
    let none = BTreeSet::new();
    let named = |ids: Vec<&PermissionId>| -> BTreeSet<&PermissionKey> {
        ids.into_iter().filter_map(|id| keys.get(id).copied()).collect()
    };
    details.keys(
        None,
        ListChange::Added,
        plan.permissions.added.iter().map(|one| &one.key),
    );
    details.keys(
        None,
        ListChange::Removed,
        plan.permissions.removed.iter().map(|one| &one.key),
    );
    for one in plan.roles.added.iter().chain(&plan.roles.changed) {
        let role = Some((one.role.id, &one.role.name));
        let held = bundles.get(&one.role.id).copied().unwrap_or(&none);
        details.keys(
            role,
            ListChange::Added,
            named(one.permissions.difference(held).collect()),
        );
        details.keys(
            role,
            ListChange::Removed,
            named(held.difference(&one.permissions).collect()),
        );
    }
    for one in &plan.roles.removed {
        let role = Some((one.role.id, &one.role.name));
        details.keys(role, ListChange::Removed, named(one.permissions.iter().collect()));
    }
}

fn ids<T, Id: Display>(part: &RowChanges<T>, id: impl Fn(&T) -> Id) -> Detail {
    let texts = |all: &[T]| described::first(all.iter().map(&id));
    Detail::Map(vec![
        ("added", Detail::count(part.added.len())),
        ("changed", Detail::count(part.changed.len())),
        ("removed", Detail::count(part.removed.len())),
        ("added_ids", texts(&part.added)),
        ("changed_ids", texts(&part.changed)),
        ("removed_ids", texts(&part.removed)),
    ])
}

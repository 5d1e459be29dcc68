//! Make an environment what a document says.

use super::{Imported, apply, aside, contents, lost};
use crate::app::AuditEntry;
use crate::audit::described::{self, Details, ListChange, Step};
use crate::{App, AppError, Call, unit_of_work};
use canopy_domain::audit::{AuditCategory, AuditSeverity, Detail};
use canopy_domain::port::WriteScope;
use canopy_domain::tenancy::change::check;
use canopy_domain::transfer::plan::{Part, Plan, plan};
use canopy_domain::transfer::{Contents, Document};
use canopy_domain::{AssignmentId, EnvironmentPlace, PermissionId, PermissionKey, RoleId, Tenant, Timestamp};
use core::fmt::Display;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Makes the environment what the document says, in one transaction. What has the same name stays, with its assignments;
/// what the document does not have goes, with its assignments. A dry run counts and writes nothing, and neither does a
/// document that says what is there.
///
/// # Errors
/// [`TenancyError::Stale`](canopy_domain::TenancyError::Stale) where the call expects another version; [`AppError::Catalog`];
/// [`AppError::Store`].
pub async fn run(
    app: &App,
    call: &Call,
    place: &EnvironmentPlace,
    document: &Arc<Document>,
    dry_run: bool,
) -> Result<Imported, AppError> {
    let id = place.environment;
    if dry_run {
        let mut tx = app.read(place).await?;
        let before = contents(tx.as_mut(), id).await?;
        check(Tenant::Environment, before.environment.version, call.expected)?;
        app.catalog_limits()
            .admit(before.catalog_size(), document.catalog_size())?;
        let (before, plan) = planned(app, document, before, app.now()).await?;
        let lost = lost(tx.as_mut(), id, &plan).await?;
        return Ok(imported(&before, &plan, &lost));
    }
    unit_of_work::retry(|| async {
        let mut tx = app.begin(call, WriteScope::Environment(*place)).await?;
        let now = app.now();
        let before = contents(tx.as_mut(), id).await?;
        check(Tenant::Environment, before.environment.version, call.expected)?;
        app.catalog_limits()
            .admit(before.catalog_size(), document.catalog_size())?;
        let (before, plan) = planned(app, document, before, now).await?;
        let lost = lost(tx.as_mut(), id, &plan).await?;
        let imported = imported(&before, &plan, &lost);
        if plan.is_empty() {
            return Ok(imported);
        }
        let held = tx.assignments(id, &lost).await?;
        let mut details = Details::default();
        let steps: Vec<Step<'_>> = held.iter().map(Step::Revoked).collect();
        details.assignments(tx.as_mut(), place, &steps).await?;
        let (plan, details) = aside(move || {
            key_details(&plan, &before, &mut details);
            (plan, details)
        })
        .await?;
        apply(tx.as_mut(), id, &plan, &lost).await?;
        let entry = AuditEntry::within(place, "environment.import", AuditCategory::Tenancy)
            .on("environment", id, &imported.environment.name)
            .grave(AuditSeverity::Warning)
            .saying(metadata(&plan, &lost, &imported))
            .detailing(details);
        app.commit_within(tx, call, place, now, plan.changes(&lost), entry, &imported)
            .await?;
        Ok(imported)
    })
    .await
}

async fn planned(
    app: &App,
    document: &Arc<Document>,
    before: Contents,
    now: Timestamp,
) -> Result<(Contents, Plan), AppError> {
    let (app, document) = (app.clone(), Arc::clone(document));
    aside(move || {
        let plan = plan(&document, &before, now, &mut || app.mint());
        (before, plan)
    })
    .await
}

fn imported(before: &Contents, plan: &Plan, lost: &[AssignmentId]) -> Imported {
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

fn metadata(plan: &Plan, lost: &[AssignmentId], imported: &Imported) -> Vec<(&'static str, Detail)> {
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
pub(crate) fn key_details(plan: &Plan, before: &Contents, details: &mut Details) {
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

fn ids<T, Id: Display>(part: &Part<T>, id: impl Fn(&T) -> Id) -> Detail {
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

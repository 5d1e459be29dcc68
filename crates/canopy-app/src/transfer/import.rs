//! Make an environment what a document says.

use super::{Imported, apply, aside, contents, lost};
use crate::app::AuditEntry;
use crate::audit::described;
use crate::{App, AppError, Call, unit_of_work};
use canopy_domain::audit::{AuditCategory, AuditSeverity, Detail};
use canopy_domain::port::WriteScope;
use canopy_domain::tenancy::change::check;
use canopy_domain::transfer::plan::{Part, Plan, plan};
use canopy_domain::transfer::{Contents, Document};
use canopy_domain::{AssignmentId, EnvironmentPlace, Tenant, Timestamp};
use core::fmt::Display;
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
        let mut tx = app.begin(call, WriteScope::Environment(id)).await?;
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
        let described = described::assignments(tx.as_mut(), place, &held).await?;
        apply(tx.as_mut(), id, &plan, &lost).await?;
        let entry = AuditEntry::within(place, "environment.import", AuditCategory::Tenancy)
            .on("environment", id, &imported.environment.name)
            .grave(AuditSeverity::Warning)
            .saying(metadata(&plan, &lost, &imported, described));
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

fn metadata(plan: &Plan, lost: &[AssignmentId], imported: &Imported, described: Detail) -> Vec<(&'static str, Detail)> {
    vec![
        ("access_model", Detail::text(imported.environment.access_model)),
        (
            "hierarchy_schema_changed",
            Detail::Flag(imported.hierarchy_schema_changed),
        ),
        ("permissions", ids(&plan.permissions, |one| one.id)),
        ("roles", ids(&plan.roles, |one| one.role.id)),
        ("nodes", ids(&plan.nodes, |one| one.id)),
        ("removed_assignment_ids", Detail::texts(lost)),
        ("removed_assignments", described),
    ]
}

fn ids<T, Id: Display>(part: &Part<T>, id: impl Fn(&T) -> Id) -> Detail {
    let texts = |all: &[T]| Detail::texts(all.iter().map(&id));
    Detail::Map(vec![
        ("added_ids", texts(&part.added)),
        ("changed_ids", texts(&part.changed)),
        ("removed_ids", texts(&part.removed)),
    ])
}

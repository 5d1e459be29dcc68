//! Change the hierarchy schema of an environment.

use crate::app::AuditEntry;
use crate::{App, AppError, Call, unit_of_work};
use canopy_domain::access::{Change, NodeFact};
use canopy_domain::audit::{AuditCategory, AuditSeverity, Detail};
use canopy_domain::hierarchy::schema_change::{self, SchemaPatch};
use canopy_domain::port::{CommitRecord, EnvironmentChanges, WriteScope};
use canopy_domain::{EnvironmentPlace, Expected, HierarchyError, HierarchySchema, TenancyError, Tenant, Version};

/// Changes the schema. A new root type retypes the root with it. The answer is the schema and the environment's version
/// afterwards; a change that changes nothing raises no version.
///
/// # Errors
/// [`HierarchyError::Stale`] when the environment is not at version `seen`, [`HierarchyError::ContradictorySchema`],
/// [`HierarchyError::SchemaInUse`];
/// [`AppError::Store`].
pub async fn run(
    app: &App,
    call: &Call,
    place: &EnvironmentPlace,
    patch: impl Into<SchemaPatch> + Send,
    seen: impl Into<Expected> + Send,
) -> Result<(HierarchySchema, Version), AppError> {
    let (seen, patch) = (seen.into(), patch.into());
    unit_of_work::retry(|| async {
        let mut tx = app.begin(call, WriteScope::Environment(*place)).await?;
        let now = app.now();
        let absent = || TenancyError::NotFound(Tenant::Environment);
        let mut environment = tx.environment(place.environment).await?.ok_or_else(absent)?;
        if !seen.accepts(environment.version) {
            return Err(HierarchyError::Stale {
                current: environment.version,
            }
            .into());
        }
        let (_, stored) = tx.hierarchy(place.environment).await?.ok_or_else(absent)?;
        let schema = patch.apply(&stored)?;
        if stored == schema {
            return Ok((schema, environment.version));
        }
        let shape = tx.tree_shape(place.environment).await?;
        let mut changes = Vec::new();
        if let Some(node_type) = schema_change::check(&schema, &shape)? {
            let mut root = tx
                .root_node(place.environment)
                .await?
                .ok_or(AppError::Broken("an environment has no root"))?;
            root.node_type = node_type;
            root.version = root.version.next();
            root.updated_at = now;
            tx.update_nodes(core::slice::from_ref(&root)).await?;
            changes.push(Change::NodePut(NodeFact::from(&root)));
        }
        environment.version = environment.version.next();
        environment.updated_at = now;
        tx.update_environment(&environment, &schema).await?;
        let entry = AuditEntry {
            account: place.account,
            application: Some(place.application),
            environment: Some(place.environment),
            action: "hierarchy_schema.change",
            category: AuditCategory::Hierarchy,
            severity: AuditSeverity::Info,
            resource_type: "hierarchy_schema",
            resource_id: environment.id.to_string(),
            resource_label: environment.name.to_string(),
            metadata: Detail::Map(vec![
                ("node_types", Detail::texts(schema.node_types())),
                ("root_node_type", Detail::text(schema.root_node_type())),
                ("max_depth", Detail::Count(schema.max_depth().into())),
            ]),
            details: Vec::new(),
        };
        let record = CommitRecord {
            at: now,
            changes: vec![EnvironmentChanges {
                environment: place.environment,
                changes: changes.into(),
            }],
            audit: app.audit(call, now, entry),
        };
        app.commit(tx, call, record, &()).await?;
        Ok((schema, environment.version))
    })
    .await
}

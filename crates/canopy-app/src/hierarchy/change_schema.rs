//! Changes the hierarchy schema of an environment.

use crate::audit_entry::AuditEntry;
use crate::{AppError, Moment, Plan, Write};
use async_trait::async_trait;
use canopy_domain::api_key::AreaScope;
use canopy_domain::audit::{AuditCategory, Detail};
use canopy_domain::changeset::{ChangeSet, EnvironmentRow, Rows};
use canopy_domain::hierarchy::schema_change::{self, SchemaPatch};
use canopy_domain::port::{LockScope, ReadTx};
use canopy_domain::{
    Environment, EnvironmentRef, Expected, HierarchyError, HierarchySchema, Node, TenancyError, Tenant, Version,
};

/// Changes the schema. A new root type also changes the type of the root. Returns the schema and the environment's
/// version; a change without effect does not raise the version.
///
/// Fails with [`HierarchyError::Stale`], [`HierarchyError::ContradictorySchema`], [`HierarchyError::SchemaInUse`] or
/// [`AppError::Store`].
#[derive(Debug, Clone)]
pub struct ChangeHierarchySchema {
    /// The environment.
    pub environment: EnvironmentRef,
    /// The change.
    pub patch: SchemaPatch,
    /// The expected version of the environment.
    pub seen: Expected,
}

#[async_trait]
impl Write for ChangeHierarchySchema {
    type Outcome = (HierarchySchema, Version);

    const REQUIRES: Option<AreaScope> = Some(AreaScope::NodeManage);

    fn lock(&self) -> LockScope {
        LockScope::Environment(self.environment)
    }

    async fn plan(&self, facts: &mut dyn ReadTx, at: &Moment<'_>) -> Result<Plan<Self::Outcome>, AppError> {
        let within = self.environment.environment;
        let absent = || TenancyError::NotFound(Tenant::Environment);
        let environment = facts.environment(within).await?.ok_or_else(absent)?;
        if !self.seen.accepts(environment.version) {
            return Err(HierarchyError::Stale {
                current: environment.version,
            }
            .into());
        }
        let (_, stored) = facts.hierarchy(within).await?.ok_or_else(absent)?;
        let schema = self.patch.apply(&stored)?;
        if stored == schema {
            return Ok(Plan::unchanged((schema, environment.version)));
        }
        let shape = facts.tree_shape(within).await?;
        let mut nodes = Rows::default();
        if let Some(node_type) = schema_change::check(&schema, &shape)? {
            let root = facts.root_node(within).await?;
            let root = root.ok_or(AppError::Broken("an environment has no root"))?;
            let retyped = Node {
                node_type,
                version: root.version.next(),
                updated_at: at.now(),
                ..root.clone()
            };
            nodes = Rows::update(root, retyped);
        }
        let next = Environment {
            version: environment.version.next(),
            updated_at: at.now(),
            ..environment.clone()
        };
        let entry = AuditEntry::within(&self.environment, "hierarchy_schema.change", AuditCategory::Hierarchy)
            .resource("hierarchy_schema", next.id, &next.name)
            .detail(vec![
                ("node_types", Detail::texts(schema.node_types())),
                ("root_node_type", Detail::text(schema.root_node_type())),
                ("max_depth", Detail::Count(schema.max_depth().into())),
            ]);
        let version = next.version;
        let row = |environment, schema| EnvironmentRow { environment, schema };
        let changes = ChangeSet {
            environments: Rows::update(row(environment, stored), row(next, schema.clone())),
            nodes,
            ..ChangeSet::default()
        };
        Ok(Plan::new(changes, (schema, version), entry))
    }
}

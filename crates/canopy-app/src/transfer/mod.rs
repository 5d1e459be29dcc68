//! Transfer of the contents of an environment to another one.

mod export;
pub(crate) mod import;

pub use export::export_environment;
pub use import::ImportEnvironment;

use crate::AppError;
use canopy_domain::permission::listing::PermissionQuery;
use canopy_domain::port::{ReadTx, StoreError};
use canopy_domain::role::listing::RoleQuery;
use canopy_domain::transfer::plan::{Plan, RowChanges};
use canopy_domain::transfer::{Contents, RoleContents};
use canopy_domain::{AssignmentId, Environment, EnvironmentId, NodeId, Role, RoleId, TenancyError, Tenant};

/// Refuses an environment whose names, keys and metadata alone exceed a document of `max_bytes`.
///
/// # Errors
/// [`TenancyError::TooLarge`]; [`AppError::Store`].
pub(crate) async fn bound(tx: &mut dyn ReadTx, environment: EnvironmentId, max_bytes: u64) -> Result<(), AppError> {
    let nodes = tx.node_bytes(environment).await?;
    if nodes > max_bytes || nodes + tx.catalog_bytes(environment).await? > max_bytes {
        return Err(TenancyError::TooLarge { max_bytes }.into());
    }
    Ok(())
}

/// Runs a long part of a write on a blocking thread. The write keeps its transaction meanwhile, so there are at most as
/// many of these as writers.
///
/// # Errors
/// [`AppError::Store`] if it panics.
pub(crate) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, AppError> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|error| StoreError::Internal(error.into()))?)
}

/// Returns all contents of an environment.
pub(crate) async fn contents(tx: &mut dyn ReadTx, environment: EnvironmentId) -> Result<Contents, AppError> {
    let absent = || TenancyError::NotFound(Tenant::Environment);
    let everything = RoleQuery {
        include_inactive: true,
        kind: None,
    };
    let row = tx.environment(environment).await?.ok_or_else(absent)?;
    let (_, schema) = tx.hierarchy(environment).await?.ok_or_else(absent)?;
    let permissions = tx.permissions(environment, &PermissionQuery::default()).await?;
    let roles = tx.roles(environment, &everything).await?;
    let mut catalog = tx.catalog(environment).await?;
    let nodes = tx.nodes(environment).await?;
    let bundled = |role: Role| RoleContents {
        permissions: catalog
            .roles
            .remove(&role.id)
            .map(|held| held.permissions)
            .unwrap_or_default(),
        role,
    };
    Ok(Contents {
        environment: row,
        schema,
        permissions,
        roles: roles.into_iter().map(|view| view.role).map(bundled).collect(),
        nodes,
    })
}

/// Returns the assignments of the roles and nodes that a plan removes.
pub(crate) async fn lost(
    tx: &mut dyn ReadTx,
    environment: EnvironmentId,
    plan: &Plan,
) -> Result<Vec<AssignmentId>, AppError> {
    let roles: Vec<RoleId> = plan.roles.removed.iter().map(|one| one.role.id).collect();
    let nodes: Vec<NodeId> = plan.nodes.removed.iter().map(|node| node.id).collect();
    Ok(tx.assignments_naming(environment, &roles, &nodes).await?)
}

/// Counts of one kind of row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowCounts {
    /// Number of unchanged rows.
    pub kept: usize,
    /// Number of changed rows.
    pub changed: usize,
    /// Number of deleted rows.
    pub removed: usize,
    /// Number of new rows.
    pub added: usize,
}

impl<T> From<&RowChanges<T>> for RowCounts {
    fn from(part: &RowChanges<T>) -> Self {
        Self {
            kept: part.kept,
            changed: part.changed.len(),
            removed: part.removed.len(),
            added: part.added.len(),
        }
    }
}

/// The result of an import, or of its dry run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The environment after the import.
    pub environment: Environment,
    /// Custom permissions.
    pub permissions: RowCounts,
    /// Custom roles.
    pub roles: RowCounts,
    /// Nodes.
    pub nodes: RowCounts,
    /// True if the access model changes.
    pub access_model_changed: bool,
    /// True if the hierarchy schema changes.
    pub hierarchy_schema_changed: bool,
    /// Number of assignments deleted with their roles and nodes.
    pub assignments_removed: usize,
}

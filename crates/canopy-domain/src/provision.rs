//! The initial contents of an environment.

use crate::changeset::{Bundle, ChangeSet, EnvironmentRow, Rows};
use crate::transfer::plan::filled;
use crate::transfer::{Contents, Document, RoleContents};
use crate::{
    AccessModel, Account, ApplicationId, DisplayName, Environment, EnvironmentId, HierarchySchema, JsonObject, Node,
    NodeId, NodeStatus, Permission, PermissionId, PermissionKey, PermissionSource, Role, RoleId, RoleKind, RoleName,
    SYSTEM_PERMISSION_KEYS, Slug, Timestamp, Version,
};
use std::collections::BTreeSet;
use uuid::Uuid;

/// A new environment with its initial contents: one root, the system permissions and the system role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvisionedEnvironment {
    /// The environment: flat, at version 1.
    pub environment: Environment,
    /// The default schema.
    pub schema: HierarchySchema,
    /// The root; it has the account's name and slug.
    pub root: Node,
    /// The system permissions.
    pub permissions: Vec<Permission>,
    /// The system role, which bundles all of them.
    pub admin_role: Role,
}

impl ProvisionedEnvironment {
    /// Creates an environment; `mint` returns new ids.
    pub fn new(
        account: &Account,
        application_id: ApplicationId,
        name: DisplayName,
        slug: Slug,
        now: Timestamp,
        mint: &mut dyn FnMut() -> Uuid,
    ) -> Self {
        let id = EnvironmentId::new(mint());
        let schema = HierarchySchema::default();
        let root = Node {
            id: NodeId::new(mint()),
            environment_id: id,
            parent: None,
            node_type: schema.root_node_type().clone(),
            name: account.name.clone(),
            slug: account.slug.clone(),
            status: NodeStatus::Active,
            metadata: JsonObject::default(),
            version: Version::FIRST,
            created_at: now,
            updated_at: now,
        };
        // These constants are valid keys and a valid name, as tests check.
        let permissions = SYSTEM_PERMISSION_KEYS
            .iter()
            .filter_map(|key| PermissionKey::parse(key).ok())
            .map(|key| Permission {
                id: PermissionId::new(mint()),
                environment_id: id,
                key,
                description: None,
                category: None,
                source: PermissionSource::System,
                version: Version::FIRST,
                created_at: now,
            })
            .collect();
        let admin_role = Role {
            id: RoleId::new(mint()),
            environment_id: id,
            name: RoleName::environment_admin(),
            description: None,
            kind: RoleKind::EnvironmentAdmin,
            is_active: true,
            version: Version::FIRST,
            created_at: now,
            updated_at: now,
        };
        let environment = Environment {
            id,
            application_id,
            name,
            slug,
            settings: JsonObject::default(),
            access_model: AccessModel::Flat,
            version: Version::FIRST,
            created_at: now,
            updated_at: now,
        };
        Self {
            environment,
            schema,
            root,
            permissions,
            admin_role,
        }
    }

    /// Returns the environment with the access model, schema and root of a document.
    #[must_use]
    pub fn like(mut self, document: &Document) -> Self {
        self.environment.access_model = document.access_model();
        self.schema = document.schema().clone();
        if let Some((slug, root)) = document.root() {
            self.root = filled(&self.root, &slug, root);
        }
        self
    }

    /// Returns the permissions of the system role.
    pub fn bindings(&self) -> Vec<(RoleId, PermissionId)> {
        self.permissions
            .iter()
            .map(|permission| (self.admin_role.id, permission.id))
            .collect()
    }

    /// Returns its rows, all new.
    pub fn change_set(&self) -> ChangeSet {
        let row = EnvironmentRow {
            environment: self.environment.clone(),
            schema: self.schema.clone(),
        };
        let bundle = Bundle {
            environment: self.environment.id,
            role: self.admin_role.id,
            before: BTreeSet::new(),
            after: self.permissions.iter().map(|permission| permission.id).collect(),
        };
        ChangeSet {
            environments: Rows::added(vec![row]),
            permissions: Rows::added(self.permissions.clone()),
            roles: Rows::added(vec![self.admin_role.clone()]),
            bundles: vec![bundle],
            nodes: Rows::added(vec![self.root.clone()]),
            ..ChangeSet::default()
        }
    }
}

impl From<&ProvisionedEnvironment> for Contents {
    fn from(made: &ProvisionedEnvironment) -> Self {
        let admin = RoleContents {
            role: made.admin_role.clone(),
            permissions: made.permissions.iter().map(|permission| permission.id).collect(),
        };
        Self {
            environment: made.environment.clone(),
            schema: made.schema.clone(),
            permissions: made.permissions.clone(),
            roles: vec![admin],
            nodes: vec![made.root.clone()],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changeset::AccessFacts;
    use crate::{AccountId, ENVIRONMENT_ADMIN_NAME};

    #[test]
    fn starts_with_one_root_and_all_system_keys_in_the_system_role() {
        let now = Timestamp::from_millis(1).unwrap();
        let account = Account {
            id: AccountId::new(Uuid::from_u128(1)),
            name: DisplayName::parse("Acme Inc").unwrap(),
            slug: Slug::parse("acme").unwrap(),
            settings: JsonObject::default(),
            version: Version::FIRST,
            created_at: now,
            updated_at: now,
        };
        let mut last = 1;
        let mut mint = || {
            last += 1;
            Uuid::from_u128(last)
        };
        let (name, slug) = (
            DisplayName::parse("Production").unwrap(),
            Slug::parse("production").unwrap(),
        );
        let made = ProvisionedEnvironment::new(
            &account,
            ApplicationId::new(Uuid::from_u128(9)),
            name,
            slug,
            now,
            &mut mint,
        );
        assert_eq!(
            made.permissions.iter().map(|p| p.key.as_str()).collect::<Vec<_>>(),
            SYSTEM_PERMISSION_KEYS
        );
        assert_eq!(made.bindings().len(), 14);
        assert_eq!((made.root.name.as_str(), made.root.slug.as_str()), ("Acme Inc", "acme"));
        assert_eq!(
            (made.root.parent, &made.root.node_type),
            (None, made.schema.root_node_type())
        );
        assert_eq!(
            RoleName::parse(ENVIRONMENT_ADMIN_NAME),
            Ok(made.admin_role.name.clone())
        );
        assert_eq!(made.environment.access_model, AccessModel::Flat);
        let facts = AccessFacts {
            members: [(made.environment.application_id, vec![])].into(),
            ..AccessFacts::default()
        };
        let changes = made.change_set().access_changes(&facts).unwrap();
        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].changes.len(), 16);
    }
}

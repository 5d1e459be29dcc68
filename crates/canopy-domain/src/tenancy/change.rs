//! Changes and deletion of accounts, applications and environments.

use super::{Account, Application, Environment, EnvironmentId, Slug, TenancyError, Tenant};
use crate::{DisplayName, Edit, Expected, JsonObject, Timestamp, Version};

/// A change to an account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccountPatch {
    /// The new name.
    pub name: Option<DisplayName>,
    /// Free-form metadata of the customer; `Clear` resets it to an empty object.
    pub settings: Edit<JsonObject>,
}

/// A change to an application or environment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TenantPatch {
    /// The new name.
    pub name: Option<DisplayName>,
    /// The new slug. The store checks whether it is free.
    pub slug: Option<Slug>,
}

/// Checks that the expected version of a resource is its current one.
///
/// # Errors
/// [`TenancyError::Stale`].
pub fn check(what: Tenant, current: Version, seen: impl Into<Expected>) -> Result<(), TenancyError> {
    if seen.into().accepts(current) {
        Ok(())
    } else {
        Err(TenancyError::Stale { what, current })
    }
}

/// Returns the changed account; `None` if nothing changes.
///
/// # Errors
/// [`TenancyError::Stale`] if it is not at version `seen`.
pub fn account(
    account: &Account,
    patch: &AccountPatch,
    seen: impl Into<Expected>,
    now: Timestamp,
) -> Result<Option<Account>, TenancyError> {
    check(Tenant::Account, account.version, seen)?;
    let changed = Account {
        name: patch.name.clone().unwrap_or_else(|| account.name.clone()),
        settings: patch.settings.of(Some(&account.settings)).unwrap_or_default(),
        ..account.clone()
    };
    Ok((changed != *account).then(|| Account {
        version: account.version.next(),
        updated_at: now,
        ..changed
    }))
}

/// Returns the changed application; `None` if nothing changes.
///
/// # Errors
/// [`TenancyError::Stale`] if it is not at version `seen`.
pub fn application(
    application: &Application,
    patch: &TenantPatch,
    seen: impl Into<Expected>,
    now: Timestamp,
) -> Result<Option<Application>, TenancyError> {
    check(Tenant::Application, application.version, seen)?;
    let changed = Application {
        name: patch.name.clone().unwrap_or_else(|| application.name.clone()),
        slug: patch.slug.clone().unwrap_or_else(|| application.slug.clone()),
        ..application.clone()
    };
    Ok(next_application(application, changed, now))
}

/// Returns the application with this default environment; `None` if it has it already.
pub fn default_environment(
    application: &Application,
    environment: EnvironmentId,
    now: Timestamp,
) -> Option<Application> {
    let changed = Application {
        default_environment_id: Some(environment),
        ..application.clone()
    };
    next_application(application, changed, now)
}

fn next_application(before: &Application, changed: Application, now: Timestamp) -> Option<Application> {
    (changed != *before).then(|| Application {
        version: before.version.next(),
        updated_at: now,
        ..changed
    })
}

/// Returns the changed environment; `None` if nothing changes.
pub fn environment(environment: &Environment, patch: &TenantPatch, now: Timestamp) -> Option<Environment> {
    let changed = Environment {
        name: patch.name.clone().unwrap_or_else(|| environment.name.clone()),
        slug: patch.slug.clone().unwrap_or_else(|| environment.slug.clone()),
        ..environment.clone()
    };
    (changed != *environment).then(|| Environment {
        version: environment.version.next(),
        updated_at: now,
        ..changed
    })
}

/// Checks whether one of the account's applications may be deleted.
///
/// # Errors
/// [`TenancyError::LastApplication`].
pub const fn delete_application(applications: &[Application]) -> Result<(), TenancyError> {
    if applications.len() > 1 {
        Ok(())
    } else {
        Err(TenancyError::LastApplication)
    }
}

/// Checks whether an application with this many environments may get another one.
///
/// # Errors
/// [`TenancyError::TooManyEnvironments`].
pub const fn admit_environment(siblings: usize, max: usize) -> Result<(), TenancyError> {
    if siblings >= max {
        return Err(TenancyError::TooManyEnvironments { max });
    }
    Ok(())
}

/// Checks whether one of the application's environments may be deleted.
///
/// # Errors
/// [`TenancyError::LastEnvironment`], [`TenancyError::DefaultEnvironment`].
pub fn delete_environment(
    application: &Application,
    environments: &[Environment],
    id: EnvironmentId,
) -> Result<(), TenancyError> {
    if environments.len() <= 1 {
        return Err(TenancyError::LastEnvironment);
    }
    if application.default_environment_id == Some(id) {
        return Err(TenancyError::DefaultEnvironment);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AccessModel, AccountId, ApplicationId};
    use uuid::Uuid;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    fn name(text: &str) -> DisplayName {
        DisplayName::parse(text).unwrap()
    }

    fn slug(text: &str) -> Slug {
        Slug::parse(text).unwrap()
    }

    fn an_account() -> Account {
        Account {
            id: AccountId::new(Uuid::from_u128(1)),
            name: name("Acme"),
            slug: slug("acme"),
            settings: JsonObject::parse("{\"a\":1}").unwrap(),
            version: Version::FIRST,
            created_at: at(1),
            updated_at: at(1),
        }
    }

    fn an_application(default: u128) -> Application {
        Application {
            id: ApplicationId::new(Uuid::from_u128(2)),
            account_id: AccountId::new(Uuid::from_u128(1)),
            name: name("Notes"),
            slug: slug("notes"),
            settings: JsonObject::default(),
            default_environment_id: Some(id(default)),
            version: Version::FIRST,
            created_at: at(1),
            updated_at: at(1),
        }
    }

    fn id(number: u128) -> EnvironmentId {
        EnvironmentId::new(Uuid::from_u128(number))
    }

    fn an_environment(number: u128) -> Environment {
        Environment {
            id: id(number),
            application_id: ApplicationId::new(Uuid::from_u128(2)),
            name: name("Production"),
            slug: slug("production"),
            settings: JsonObject::default(),
            access_model: AccessModel::Flat,
            version: Version::FIRST,
            created_at: at(1),
            updated_at: at(1),
        }
    }

    #[test]
    fn what_is_asked_for_changes_and_raises_the_version_once() {
        let (first, second) = (Version::FIRST, Version::FIRST.next());
        let asked = AccountPatch {
            name: Some(name("New")),
            settings: Edit::Clear,
        };
        let after = account(&an_account(), &asked, first, at(5)).unwrap().unwrap();
        let expected = Account {
            name: name("New"),
            settings: JsonObject::default(),
            version: second,
            updated_at: at(5),
            ..an_account()
        };
        assert_eq!(after, expected);
        let asked = TenantPatch {
            name: None,
            slug: Some(slug("new")),
        };
        let after = application(&an_application(7), &asked, first, at(5)).unwrap().unwrap();
        assert_eq!(
            (after.name.as_str(), after.slug.as_str(), after.version),
            ("Notes", "new", second)
        );
        let after = environment(&an_environment(7), &asked, at(5)).unwrap();
        assert_eq!(
            (after.slug.as_str(), after.version, after.updated_at),
            ("new", second, at(5))
        );
        let after = default_environment(&an_application(7), id(8), at(5)).unwrap();
        assert_eq!((after.default_environment_id, after.version), (Some(id(8)), second));
    }

    #[test]
    fn what_is_there_already_changes_nothing() {
        let first = Version::FIRST;
        assert_eq!(account(&an_account(), &AccountPatch::default(), first, at(5)), Ok(None));
        let same = TenantPatch {
            name: Some(name("Production")),
            slug: Some(slug("production")),
        };
        assert_eq!(environment(&an_environment(7), &same, at(5)), None);
        assert_eq!(
            application(&an_application(7), &TenantPatch::default(), first, at(5)),
            Ok(None)
        );
        assert_eq!(default_environment(&an_application(7), id(7), at(5)), None);
    }

    #[test]
    fn who_has_seen_another_version_changes_nothing() {
        let seen = Version::FIRST.next();
        for (what, refused) in [
            (
                Tenant::Account,
                account(&an_account(), &AccountPatch::default(), seen, at(5)).map(|_| ()),
            ),
            (
                Tenant::Application,
                application(&an_application(7), &TenantPatch::default(), seen, at(5)).map(|_| ()),
            ),
        ] {
            let current = Version::FIRST;
            assert_eq!(refused, Err(TenancyError::Stale { what, current }));
        }
    }

    #[test]
    fn the_last_ones_and_the_default_environment_stay() {
        let two = [an_environment(7), an_environment(8)];
        for (environments, default, expected) in [
            (&two[..1], 7, Err(TenancyError::LastEnvironment)),
            (&two[..], 7, Err(TenancyError::DefaultEnvironment)),
            (&two[..], 8, Ok(())),
        ] {
            assert_eq!(
                delete_environment(&an_application(default), environments, id(7)),
                expected
            );
        }
        let two = [an_application(7), an_application(8)];
        assert_eq!(delete_application(&two), Ok(()));
        assert_eq!(delete_application(&two[..1]), Err(TenancyError::LastApplication));
    }

    #[test]
    fn an_application_has_no_more_environments_than_it_may_have() {
        assert_eq!(admit_environment(2, 3), Ok(()));
        for siblings in [3, 4] {
            let refused = Err(TenancyError::TooManyEnvironments { max: 3 });
            assert_eq!(admit_environment(siblings, 3), refused);
        }
    }
}

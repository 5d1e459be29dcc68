//! External names of identities.

use super::TEXTS;
use crate::packed::{IDS, Packed};
use crate::statement::Row;
use canopy_domain::identity::names::{IdentityNames, NamedIdentity};
use canopy_domain::port::StoreError;
use canopy_domain::{AccountId, Email, ExternalId, IdentityId};
use diesel::SqliteConnection;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Names, packed for the thread that looks them up.
pub(super) struct Asked {
    ids: Packed,
    external_ids: Packed,
    emails: Packed,
}

impl Asked {
    pub(super) fn new(names: &IdentityNames) -> Self {
        let external_ids: Vec<&str> = names.external_ids.iter().map(ExternalId::as_str).collect();
        let emails: Vec<&str> = names.emails.iter().map(Email::as_str).collect();
        Self {
            ids: Packed::distinct_ids(names.ids.iter().map(IdentityId::as_bytes)),
            external_ids: Packed::new(TEXTS, &external_ids, |row, text| row.text(text)),
            emails: Packed::new(TEXTS, &emails, |row, text| row.text(text)),
        }
    }

    pub(super) fn find(&self, c: &mut SqliteConnection, account: AccountId) -> Result<Vec<NamedIdentity>, StoreError> {
        const SELECT: &str = "SELECT i.id, i.external_id, i.email FROM given CROSS JOIN identities AS i \
                              ON i.account_id = ?3 AND";
        static BY_ID: LazyLock<String> = LazyLock::new(|| format!("{} {SELECT} i.id = given.id", IDS.given()));
        static BY_EXTERNAL_ID: LazyLock<String> =
            LazyLock::new(|| format!("{} {SELECT} i.external_id = given.one", TEXTS.given()));
        static BY_EMAIL: LazyLock<String> = LazyLock::new(|| format!("{} {SELECT} i.email = given.one", TEXTS.given()));
        let mut found: BTreeMap<IdentityId, NamedIdentity> = BTreeMap::new();
        for (asked, sql) in [
            (&self.ids, &BY_ID),
            (&self.external_ids, &BY_EXTERNAL_ID),
            (&self.emails, &BY_EMAIL),
        ] {
            let statement = asked.statement(sql).bind(account.as_bytes());
            statement.for_each(c, "identities", |row| {
                let identity = named(row)?;
                found.insert(identity.id, identity);
                Ok(())
            })?;
        }
        Ok(found.into_values().collect())
    }
}

fn named(row: &Row<'_, '_>) -> Result<NamedIdentity, StoreError> {
    Ok(NamedIdentity {
        id: row.id(0)?,
        external_id: row.optional_text(1, ExternalId::restored)?,
        email: row.text(2, Email::restored)?,
    })
}

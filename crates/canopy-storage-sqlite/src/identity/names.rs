//! External names of identities.

use super::TEXTS;
use crate::packed::{IDS, Packed};
use canopy_domain::identity::names::{IdentityNames, NamedIdentity};
use canopy_domain::port::StoreError;
use canopy_domain::{AccountId, Email, ExternalId, IdentityId};
use canopy_storage_sql::rows::identity::NamedIdentityRow;
use canopy_storage_sql::{Shape as _, SqlText, sql};
use diesel::SqliteConnection;
use std::collections::BTreeMap;

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
        static BY_ID: SqlText = sql!(
            "{} SELECT {} FROM given CROSS JOIN identities AS i ON i.account_id = ?3 AND i.id = given.id",
            IDS.given(),
            NamedIdentityRow.of("i")
        );
        static BY_EXTERNAL_ID: SqlText = sql!(
            "{} SELECT {} FROM given CROSS JOIN identities AS i ON i.account_id = ?3 AND i.external_id = given.one",
            TEXTS.given(),
            NamedIdentityRow.of("i")
        );
        static BY_EMAIL: SqlText = sql!(
            "{} SELECT {} FROM given CROSS JOIN identities AS i ON i.account_id = ?3 AND i.email = given.one",
            TEXTS.given(),
            NamedIdentityRow.of("i")
        );
        let mut found: BTreeMap<IdentityId, NamedIdentity> = BTreeMap::new();
        for (asked, sql) in [
            (&self.ids, &BY_ID),
            (&self.external_ids, &BY_EXTERNAL_ID),
            (&self.emails, &BY_EMAIL),
        ] {
            let statement = asked.statement(sql).bind(account.as_bytes());
            statement.for_each_of(c, NamedIdentityRow, |identity| {
                found.insert(identity.id, identity);
                Ok(())
            })?;
        }
        Ok(found.into_values().collect())
    }
}

//! Identities and their memberships.

use crate::error::ensure;
use crate::packed::{Cell, IDS, Layout, Packed};
use crate::statement::Statement;
use crate::unit_of_work::UnitOfWork;
use async_trait::async_trait;
use canopy_domain::access::SubjectFact;
use canopy_domain::identity::create::{IdentityFacts, TakenIdentifiers};
use canopy_domain::identity::listing::{IdentityCounts, IdentityQuery};
use canopy_domain::identity::names::{IdentityNames, NamedIdentity};
use canopy_domain::port::reader::IdentityReader;
use canopy_domain::port::writer::IdentityWriter;
use canopy_domain::port::{StoreError, Unique};
use canopy_domain::{
    AccountId, ApplicationId, AvatarUrl, Email, EnvironmentId, ExternalId, Identity, IdentityId, JsonObject,
    Membership, MembershipStatus, Page, fold_case,
};
use canopy_storage_sql::rows::identity::{
    EmailRow, ExternalIdRow, IdentityFactRow, IdentityRow, LabelRow, MembershipRow, StandingRow, SubjectRow,
};
use canopy_storage_sql::{Shape as _, SqlText, sql};
use std::collections::{HashMap, HashSet};

mod listing;
mod names;

const TEXTS: Layout = Layout(&[("one", Cell::Text)]);
const ROWS: Layout = Layout(&[
    ("id", Cell::Id),
    ("account_id", Cell::Id),
    ("email", Cell::Text),
    ("first_name", Cell::Text),
    ("last_name", Cell::Text),
    ("name_folded", Cell::Text),
    ("searched", Cell::Text),
    ("avatar_url", Cell::Text),
    ("external_id", Cell::Text),
    ("metadata", Cell::Text),
    ("is_active", Cell::Number),
    ("created_at", Cell::Number),
    ("updated_at", Cell::Number),
]);
const MEMBERSHIP_ROWS: Layout = Layout(&[
    ("application_id", Cell::Id),
    ("identity_id", Cell::Id),
    ("id", Cell::Id),
    ("status", Cell::Text),
    ("invited_at", Cell::OptionalNumber),
    ("activated_at", Cell::OptionalNumber),
    ("deactivated_at", Cell::OptionalNumber),
    ("created_at", Cell::Number),
]);

fn pack(identities: &[Identity]) -> Packed {
    Packed::new(ROWS, identities, |row, identity| {
        row.id(identity.id.as_bytes());
        row.id(identity.account_id.as_bytes());
        row.text(identity.email.as_str());
        row.text(identity.first_name.as_str());
        row.text(identity.last_name.as_str());
        row.text(&fold_case(&identity.name()));
        row.text(&identity.searched_text());
        row.optional_text(identity.avatar_url.as_ref().map(AvatarUrl::as_str));
        row.optional_text(identity.external_id.as_ref().map(ExternalId::as_str));
        row.optional_text(identity.metadata.as_ref().map(JsonObject::as_str));
        row.number(identity.is_active);
        row.at(identity.created_at);
        row.at(identity.updated_at);
    })
}

fn pack_memberships(memberships: &[Membership]) -> Packed {
    Packed::new(MEMBERSHIP_ROWS, memberships, |row, membership| {
        row.id(membership.application_id.as_bytes());
        row.id(membership.identity_id.as_bytes());
        row.id(membership.id.as_bytes());
        row.text(membership.status.as_str());
        row.optional_at(membership.invited_at);
        row.optional_at(membership.activated_at);
        row.optional_at(membership.deactivated_at);
        row.at(membership.created_at);
    })
}

#[async_trait]
impl IdentityReader for UnitOfWork {
    async fn identity(&mut self, account: AccountId, id: IdentityId) -> Result<Option<Identity>, StoreError> {
        self.run(move |c| {
            static SELECT: SqlText = sql!("SELECT {IdentityRow} FROM identities WHERE id = ?1 AND account_id = ?2");
            let statement = Statement::new(&SELECT).bind(id.as_bytes()).bind(account.as_bytes());
            statement.first(c, IdentityRow)
        })
        .await
    }

    async fn identities(&mut self, account: AccountId, query: &IdentityQuery) -> Result<Page<Identity>, StoreError> {
        let query = query.clone();
        self.run(move |c| listing::identities(c, account, &query)).await
    }

    async fn identity_counts(
        &mut self,
        account: AccountId,
        member_of: Option<ApplicationId>,
        assigned_in: Option<EnvironmentId>,
    ) -> Result<IdentityCounts, StoreError> {
        self.run(move |c| listing::counts(c, account, member_of, assigned_in))
            .await
    }

    async fn taken_identifiers(
        &mut self,
        account: AccountId,
        asked: &TakenIdentifiers,
    ) -> Result<TakenIdentifiers, StoreError> {
        static EMAILS: SqlText = sql!(
            "{} SELECT i.id, i.email FROM given CROSS JOIN identities AS i \
                 ON i.account_id = ?3 AND i.email = given.one",
            TEXTS.given()
        );
        static EXTERNAL_IDS: SqlText = sql!(
            "{} SELECT i.id, i.external_id FROM given CROSS JOIN identities AS i \
                 ON i.account_id = ?3 AND i.external_id = given.one",
            TEXTS.given()
        );
        let emails: Vec<&str> = asked.emails.iter().map(Email::as_str).collect();
        let emails = Packed::new(TEXTS, &emails, |row, text| row.text(text));
        let external_ids: Vec<&str> = asked.external_ids.iter().map(ExternalId::as_str).collect();
        let external_ids = Packed::new(TEXTS, &external_ids, |row, text| row.text(text));
        self.run(move |c| {
            let emails = emails.statement(&EMAILS).bind(account.as_bytes());
            let external_ids = external_ids.statement(&EXTERNAL_IDS).bind(account.as_bytes());
            Ok(TakenIdentifiers {
                emails: emails.all(c, EmailRow)?,
                external_ids: external_ids.all(c, ExternalIdRow)?,
            })
        })
        .await
    }

    async fn identities_named(
        &mut self,
        account: AccountId,
        asked: &IdentityNames,
    ) -> Result<Vec<NamedIdentity>, StoreError> {
        let asked = names::Asked::new(asked);
        self.run(move |c| asked.find(c, account)).await
    }

    async fn identity_labels(
        &mut self,
        account: AccountId,
        ids: &[IdentityId],
    ) -> Result<HashMap<IdentityId, String>, StoreError> {
        static SELECT: SqlText = sql!(
            "{} SELECT i.id, i.first_name || ' ' || i.last_name AS name FROM given \
                 CROSS JOIN identities AS i ON i.account_id = ?3 AND i.id = given.id",
            IDS.given()
        );
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let ids = Packed::distinct_ids(ids.iter().map(IdentityId::as_bytes));
        self.run(move |c| {
            let select = ids.statement(&SELECT).bind(account.as_bytes());
            select.all(c, LabelRow)
        })
        .await
    }

    async fn identity_facts(
        &mut self,
        account: AccountId,
        application: ApplicationId,
        ids: &[IdentityId],
    ) -> Result<IdentityFacts, StoreError> {
        static SELECT: SqlText = sql!(
            "{} SELECT i.id, i.is_active, {membership} FROM given \
                 CROSS JOIN identities AS i ON i.id = given.id AND i.account_id = ?3 \
                 LEFT JOIN memberships AS m ON m.application_id = ?4 AND m.identity_id = i.id",
            IDS.given(),
            membership = MembershipRow.of("m")
        );
        if ids.is_empty() {
            return Ok(IdentityFacts::new());
        }
        let ids = Packed::distinct_ids(ids.iter().map(IdentityId::as_bytes));
        self.run(move |c| {
            let statement = ids
                .statement(&SELECT)
                .bind(account.as_bytes())
                .bind(application.as_bytes());
            statement.all(c, IdentityFactRow)
        })
        .await
    }

    async fn members(&mut self, application: ApplicationId) -> Result<Vec<SubjectFact>, StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT i.id, i.is_active, m.status FROM memberships AS m \
             CROSS JOIN identities AS i ON i.account_id = m.account_id AND i.id = m.identity_id \
             WHERE m.application_id = ?1 ORDER BY m.identity_id"
        );
        self.run(move |c| Statement::new(&SELECT).bind(application.as_bytes()).all(c, SubjectRow))
            .await
    }

    async fn memberships(&mut self, id: IdentityId) -> Result<Vec<Membership>, StoreError> {
        self.run(move |c| {
            static SELECT: SqlText =
                sql!("SELECT {MembershipRow} FROM memberships WHERE identity_id = ?1 ORDER BY application_id");
            let statement = Statement::new(&SELECT).bind(id.as_bytes());
            statement.all(c, MembershipRow)
        })
        .await
    }

    async fn standings(
        &mut self,
        account: AccountId,
        id: IdentityId,
    ) -> Result<Vec<(EnvironmentId, MembershipStatus)>, StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT e.id, m.status FROM memberships AS m \
             CROSS JOIN environments AS e ON e.application_id = m.application_id \
             WHERE m.identity_id = ?1 AND m.account_id = ?2 ORDER BY e.id"
        );
        self.run(move |c| {
            let statement = Statement::new(&SELECT).bind(id.as_bytes()).bind(account.as_bytes());
            statement.all(c, StandingRow)
        })
        .await
    }
}

#[async_trait]
impl IdentityWriter for UnitOfWork {
    async fn insert_identities(&mut self, identities: &[Identity]) -> Result<(), StoreError> {
        static INSERT: SqlText = sql!(
            "{} INSERT INTO identities (id, account_id, email, first_name, last_name, name_folded, searched, avatar_url, \
                 external_id, metadata, is_active, created_at, updated_at) SELECT id, account_id, email, first_name, \
                 last_name, name_folded, searched, avatar_url, external_id, metadata, is_active, created_at, updated_at FROM given",
            ROWS.given()
        );
        static EMAIL_TAKEN: SqlText = sql!(
            "{} SELECT EXISTS (SELECT 1 FROM given CROSS JOIN identities AS i \
             ON i.account_id = given.account_id AND i.email = given.email)",
            ROWS.given()
        );
        static EXTERNAL_ID_TAKEN: SqlText = sql!(
            "{} SELECT EXISTS (SELECT 1 FROM given CROSS JOIN identities AS i \
             ON i.account_id = given.account_id AND i.external_id = given.external_id)",
            ROWS.given()
        );
        let Some(first) = identities.first() else {
            return Ok(());
        };
        ensure(
            identities.iter().all(|one| one.account_id == first.account_id),
            "the identities are of several accounts",
        )?;
        let emails: HashSet<&Email> = identities.iter().map(|one| &one.email).collect();
        let repeats_email = emails.len() < identities.len();
        let mut external_ids = HashSet::new();
        let repeats_external = !identities
            .iter()
            .filter_map(|one| one.external_id.as_ref())
            .all(|one| external_ids.insert(one));
        let (count, rows) = (identities.len(), pack(identities));
        self.run(move |c| match rows.statement(&INSERT).attempt(c)? {
            Some(stored) => ensure(stored == count, "an identity was not stored"),
            None if repeats_email || rows.statement(&EMAIL_TAKEN).holds(c)? => {
                Err(StoreError::Duplicate(Unique::IdentityEmail))
            }
            None if repeats_external || rows.statement(&EXTERNAL_ID_TAKEN).holds(c)? => {
                Err(StoreError::Duplicate(Unique::IdentityExternalId))
            }
            None => Err(StoreError::Duplicate(Unique::Id)),
        })
        .await
    }

    async fn update_identity(&mut self, identity: &Identity) -> Result<(), StoreError> {
        static UPDATE: SqlText = sql!(
            "UPDATE identities SET email = ?3, first_name = ?4, last_name = ?5, name_folded = ?6, \
             avatar_url = ?7, external_id = ?8, metadata = ?9, is_active = ?10, created_at = ?11, updated_at = ?12, searched = ?13 \
             WHERE id = ?1 AND account_id = ?2"
        );
        static EMAIL_TAKEN: SqlText =
            sql!("SELECT EXISTS (SELECT 1 FROM identities WHERE account_id = ?2 AND email = ?3 AND id <> ?1)");
        let identity = identity.clone();
        self.run(move |c| {
            let about = |sql| {
                Statement::new(sql)
                    .bind(identity.id.as_bytes())
                    .bind(identity.account_id.as_bytes())
                    .bind(identity.email.as_str())
            };
            let (name_folded, searched) = (fold_case(&identity.name()), identity.searched_text());
            let update = about(&UPDATE)
                .bind(identity.first_name.as_str())
                .bind(identity.last_name.as_str())
                .bind(name_folded.as_str())
                .bind(identity.avatar_url.as_ref().map(AvatarUrl::as_str))
                .bind(identity.external_id.as_ref().map(ExternalId::as_str))
                .bind(identity.metadata.as_ref().map(JsonObject::as_str))
                .bind(identity.is_active)
                .bind(identity.created_at)
                .bind(identity.updated_at)
                .bind(searched.as_str());
            match update.attempt(c)? {
                Some(changed) => ensure(changed == 1, "a changed identity is not there"),
                None if about(&EMAIL_TAKEN).holds(c)? => Err(StoreError::Duplicate(Unique::IdentityEmail)),
                None => Err(StoreError::Duplicate(Unique::IdentityExternalId)),
            }
        })
        .await
    }

    async fn delete_identity(&mut self, account: AccountId, id: IdentityId) -> Result<(), StoreError> {
        static HOLDS: SqlText = sql!(
            "SELECT EXISTS (SELECT 1 FROM memberships AS m \
             CROSS JOIN environments AS e ON e.application_id = m.application_id \
             CROSS JOIN assignments AS s ON s.environment_id = e.id AND s.identity_id = m.identity_id \
             WHERE m.identity_id = ?1 AND m.account_id = ?2)"
        );
        static MEMBERSHIPS: SqlText = sql!("DELETE FROM memberships WHERE identity_id = ?1 AND account_id = ?2");
        static IDENTITY: SqlText = sql!("DELETE FROM identities WHERE id = ?1 AND account_id = ?2");
        self.run(move |c| {
            let about = |sql| Statement::new(sql).bind(id.as_bytes()).bind(account.as_bytes());
            ensure(!about(&HOLDS).holds(c)?, "a deleted identity holds an assignment")?;
            about(&MEMBERSHIPS).execute(c)?;
            about(&IDENTITY).execute(c)?;
            Ok(())
        })
        .await
    }

    async fn insert_memberships(&mut self, memberships: &[Membership]) -> Result<(), StoreError> {
        static INSERT: SqlText = sql!(
            "{} INSERT INTO memberships (application_id, identity_id, account_id, id, status, invited_at, \
                 activated_at, deactivated_at, created_at) SELECT application_id, identity_id, \
                 (SELECT account_id FROM applications WHERE id = ?3), id, status, invited_at, activated_at, \
                 deactivated_at, created_at FROM given",
            MEMBERSHIP_ROWS.given()
        );
        static TAKEN: SqlText = sql!(
            "{} SELECT EXISTS (SELECT 1 FROM given CROSS JOIN memberships AS m \
                 ON m.application_id = given.application_id AND m.identity_id = given.identity_id)",
            MEMBERSHIP_ROWS.given()
        );
        let Some((application, rows)) = of_one_application(memberships)? else {
            return Ok(());
        };
        let pairs: HashSet<IdentityId> = memberships.iter().map(|one| one.identity_id).collect();
        let (count, repeated) = (memberships.len(), pairs.len() < memberships.len());
        self.run(
            move |c| match rows.statement(&INSERT).bind(application.as_bytes()).attempt(c)? {
                Some(stored) => ensure(stored == count, "a membership was not stored"),
                None if repeated || rows.statement(&TAKEN).holds(c)? => Err(StoreError::Duplicate(Unique::Membership)),
                None => Err(StoreError::Duplicate(Unique::Id)),
            },
        )
        .await
    }

    async fn update_memberships(&mut self, memberships: &[Membership]) -> Result<(), StoreError> {
        static UPDATE: SqlText = sql!(
            "{} UPDATE memberships SET status = given.status, invited_at = given.invited_at, \
                 activated_at = given.activated_at, deactivated_at = given.deactivated_at, \
                 created_at = given.created_at FROM given WHERE memberships.application_id = given.application_id \
                 AND memberships.identity_id = given.identity_id AND memberships.id = given.id",
            MEMBERSHIP_ROWS.given()
        );
        let Some((_, rows)) = of_one_application(memberships)? else {
            return Ok(());
        };
        let count = memberships.len();
        self.run(move |c| {
            let changed = rows.statement(&UPDATE).execute(c)?;
            ensure(changed == count, "a changed membership is not there, or given twice")
        })
        .await
    }
}

/// Packs memberships of one application; `None` for none.
fn of_one_application(memberships: &[Membership]) -> Result<Option<(ApplicationId, Packed)>, StoreError> {
    let Some(first) = memberships.first() else {
        return Ok(None);
    };
    let same = memberships.iter().all(|one| one.application_id == first.application_id);
    ensure(same, "the memberships are of several applications")?;
    Ok(Some((first.application_id, pack_memberships(memberships))))
}

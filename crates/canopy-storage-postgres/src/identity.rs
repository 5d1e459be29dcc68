//! Identities and their memberships.

use crate::error::ensure;
use crate::search::patterns;
use crate::statement::Statement;
use crate::unit_of_work::UnitOfWork;
use crate::value::{column, distinct, instants, optional_instants};
use async_trait::async_trait;
use canopy_domain::access::SubjectFact;
use canopy_domain::identity::create::{IdentityFacts, TakenIdentifiers};
use canopy_domain::identity::listing::{IdentityCounts, IdentityQuery, IdentitySort, IdentityStatus};
use canopy_domain::identity::names::{IdentityNames, NamedIdentity};
use canopy_domain::port::reader::IdentityReader;
use canopy_domain::port::writer::IdentityWriter;
use canopy_domain::port::{StoreError, Unique};
use canopy_domain::{
    AccountId, ApplicationId, AvatarUrl, Email, EnvironmentId, ExternalId, Identity, IdentityId, JsonObject,
    Membership, MembershipStatus, Page, SortOrder, fold_case,
};
use canopy_storage_sql::rows::identity::{
    EmailRow, ExternalIdRow, IdentityCountsRow, IdentityFactRow, IdentityRow, LabelRow, MembershipRow,
    NamedIdentityRow, StandingRow, SubjectRow,
};
use canopy_storage_sql::rows::{CountRow, FlagRow};
use canopy_storage_sql::{Shape as _, SqlText, sql};
use futures_util::future;
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// The condition that the identity `i` holds an assignment: in an environment of the account `$1`, of the application `$2`
/// and of the environment `$3`, where these are given.
macro_rules! held {
    () => {
        "EXISTS (SELECT FROM applications AS p JOIN environments AS e ON e.application_id = p.id \
             JOIN assignments AS a ON a.environment_id = e.id AND a.identity_id = i.id \
             WHERE p.account_id = $1 AND ($2::uuid IS NULL OR p.id = $2) AND ($3::uuid IS NULL OR e.id = $3))"
    };
}

/// The statements of a list of identities. Each order has its own text, so that its index returns the page.
macro_rules! listing {
    ($columns:expr, $tail:literal) => {
        sql!(
            concat!(
                "SELECT {} FROM identities AS i WHERE i.account_id = $1 \
                 AND ($2::uuid IS NULL OR EXISTS (SELECT FROM memberships AS m \
                     WHERE m.application_id = $2 AND m.identity_id = i.id)) \
                 AND ($3::uuid IS NULL OR $3 IS NOT NULL) \
                 AND ($4::uuid IS NULL OR NOT EXISTS (SELECT FROM memberships AS m \
                     WHERE m.application_id = $4 AND m.identity_id = i.id)) \
                 AND ($5::boolean IS NULL OR i.is_active = $5) \
                 AND ($6::boolean IS NULL OR $6 = ",
                held!(),
                ") AND i.searched LIKE ALL ($7::text[])",
                $tail
            ),
            $columns
        )
    };
    (page $tail:literal) => {
        listing!(IdentityRow.of("i"), $tail)
    };
}

static BY_NAME: SqlText = listing!(page " ORDER BY i.name_folded, i.id LIMIT $8 OFFSET $9");
static BY_NAME_DESCENDING: SqlText = listing!(page " ORDER BY i.name_folded DESC, i.id DESC LIMIT $8 OFFSET $9");
static BY_EMAIL: SqlText = listing!(page " ORDER BY i.email LIMIT $8 OFFSET $9");
static BY_EMAIL_DESCENDING: SqlText = listing!(page " ORDER BY i.email DESC LIMIT $8 OFFSET $9");
static BY_CREATION: SqlText = listing!(page " ORDER BY i.created_at, i.id LIMIT $8 OFFSET $9");
static BY_CREATION_DESCENDING: SqlText = listing!(page " ORDER BY i.created_at DESC, i.id DESC LIMIT $8 OFFSET $9");

/// The text of a listing in this order.
const fn in_order(sort: IdentitySort, order: SortOrder) -> &'static SqlText {
    match (sort, order) {
        (IdentitySort::Name, SortOrder::Ascending) => &BY_NAME,
        (IdentitySort::Name, SortOrder::Descending) => &BY_NAME_DESCENDING,
        (IdentitySort::Email, SortOrder::Ascending) => &BY_EMAIL,
        (IdentitySort::Email, SortOrder::Descending) => &BY_EMAIL_DESCENDING,
        (IdentitySort::CreatedAt, SortOrder::Ascending) => &BY_CREATION,
        (IdentitySort::CreatedAt, SortOrder::Descending) => &BY_CREATION_DESCENDING,
    }
}

#[async_trait]
impl IdentityReader for UnitOfWork {
    async fn identity(&mut self, account: AccountId, id: IdentityId) -> Result<Option<Identity>, StoreError> {
        static SELECT: SqlText = sql!("SELECT {IdentityRow} FROM identities WHERE account_id = $1 AND id = $2");
        let select = Statement::new(&SELECT).bind(account.as_uuid()).bind(id.as_uuid());
        select.first(self.connection()?, IdentityRow).await
    }

    async fn identities(&mut self, account: AccountId, query: &IdentityQuery) -> Result<Page<Identity>, StoreError> {
        static COUNT: SqlText = listing!("count(*)", "");
        let Some(patterns) = patterns(query.search.as_ref()) else {
            return Ok(Page {
                items: vec![],
                item_count: 0,
            });
        };
        let about = |sql| {
            Statement::new(sql)
                .for_these_values()
                .bind(account.as_uuid())
                .bind(query.member_of.map(|id| id.as_uuid()))
                .bind(query.assigned_in.map(|id| id.as_uuid()))
                .bind(query.not_member_of.map(|id| id.as_uuid()))
                .bind(query.status.map(|status| status == IdentityStatus::Active))
                .bind(query.has_any_assignment)
                .bind(patterns.clone())
        };
        let page = about(in_order(query.sort, query.order))
            .bind(i64::from(query.page.take()))
            .bind(i64::try_from(query.page.offset()).unwrap_or(i64::MAX));
        let connection = self.connection()?;
        let items = page.all(connection, IdentityRow);
        let item_count = about(&COUNT).one(connection, CountRow);
        let (items, item_count) = future::try_join(items, item_count).await?;
        Ok(Page { items, item_count })
    }

    async fn identity_counts(
        &mut self,
        account: AccountId,
        member_of: Option<ApplicationId>,
        assigned_in: Option<EnvironmentId>,
    ) -> Result<IdentityCounts, StoreError> {
        static SELECT: SqlText = sql!(concat!(
            "SELECT count(*), count(*) FILTER (WHERE i.is_active AND (m.status = 'active' OR m.status IS NULL)), \
             count(*) FILTER (WHERE m.status = 'invited'), count(*) FILTER (WHERE m.status = 'deactivated'), \
             count(*) FILTER (WHERE m.status = 'suspended'), count(*) FILTER (WHERE ",
            held!(),
            ") FROM identities AS i LEFT JOIN memberships AS m ON m.application_id = $2 AND m.identity_id = i.id \
             WHERE i.account_id = $1 AND ($2 IS NULL OR m.status IS NOT NULL)"
        ));
        let connection = self.connection()?;
        let select = Statement::new(&SELECT)
            .for_these_values()
            .bind(account.as_uuid())
            .bind(member_of.map(|id| id.as_uuid()))
            .bind(assigned_in.map(|id| id.as_uuid()));
        let counts = select.one(connection, IdentityCountsRow);
        counts.await
    }

    async fn taken_identifiers(
        &mut self,
        account: AccountId,
        asked: &TakenIdentifiers,
    ) -> Result<TakenIdentifiers, StoreError> {
        static EMAILS: SqlText = sql!(
            "SELECT i.id, i.email FROM unnest($1) AS asked (email) CROSS JOIN LATERAL (SELECT o.id, o.email \
             FROM identities AS o WHERE o.account_id = $2 AND o.email = asked.email OFFSET 0) AS i"
        );
        static EXTERNAL_IDS: SqlText = sql!(
            "SELECT i.id, i.external_id FROM unnest($1) AS asked (external_id) \
             CROSS JOIN LATERAL (SELECT o.id, o.external_id FROM identities AS o \
             WHERE o.account_id = $2 AND o.external_id = asked.external_id OFFSET 0) AS i"
        );
        let connection = self.connection()?;
        let emails = async {
            if asked.emails.is_empty() {
                return Ok(HashSet::new());
            }
            let emails: Vec<&str> = asked.emails.iter().map(Email::as_str).collect();
            let select = Statement::new(&EMAILS).bind(emails).bind(account.as_uuid());
            select.all(connection, EmailRow).await
        };
        let external_ids = async {
            if asked.external_ids.is_empty() {
                return Ok(HashSet::new());
            }
            let ids: Vec<&str> = asked.external_ids.iter().map(ExternalId::as_str).collect();
            let select = Statement::new(&EXTERNAL_IDS).bind(ids).bind(account.as_uuid());
            select.all(connection, ExternalIdRow).await
        };
        let (emails, external_ids) = future::try_join(emails, external_ids).await?;
        Ok(TakenIdentifiers { emails, external_ids })
    }

    async fn identities_named(
        &mut self,
        account: AccountId,
        asked: &IdentityNames,
    ) -> Result<Vec<NamedIdentity>, StoreError> {
        // `UNION` takes an identity once that has several of the names.
        static SELECT: SqlText = sql!(
            "SELECT i.* FROM unnest($1) AS asked (id) CROSS JOIN LATERAL ( \
                 SELECT {named_identity} FROM identities AS o \
                 WHERE o.account_id = $2 AND o.id = asked.id OFFSET 0) AS i \
             UNION SELECT i.* FROM unnest($3) AS asked (external_id) CROSS JOIN LATERAL ( \
                 SELECT {named_identity} FROM identities AS o \
                 WHERE o.account_id = $2 AND o.external_id = asked.external_id OFFSET 0) AS i \
             UNION SELECT i.* FROM unnest($4) AS asked (email) CROSS JOIN LATERAL ( \
                 SELECT {named_identity} FROM identities AS o \
                 WHERE o.account_id = $2 AND o.email = asked.email OFFSET 0) AS i \
             ORDER BY id",
            named_identity = NamedIdentityRow.of("o")
        );
        if asked.is_empty() {
            return Ok(vec![]);
        }
        let external_ids: Vec<&str> = asked.external_ids.iter().map(ExternalId::as_str).collect();
        let emails: Vec<&str> = asked.emails.iter().map(Email::as_str).collect();
        let select = Statement::new(&SELECT)
            .bind(distinct(asked.ids.iter().map(IdentityId::as_uuid)))
            .bind(account.as_uuid())
            .bind(external_ids)
            .bind(emails);
        select.all(self.connection()?, NamedIdentityRow).await
    }

    async fn identity_labels(
        &mut self,
        account: AccountId,
        ids: &[IdentityId],
    ) -> Result<HashMap<IdentityId, String>, StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT i.id, i.name FROM unnest($1) AS asked (id) CROSS JOIN LATERAL \
             (SELECT o.id, o.first_name || ' ' || o.last_name AS name FROM identities AS o \
             WHERE o.account_id = $2 AND o.id = asked.id OFFSET 0) AS i"
        );
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        Statement::new(&SELECT)
            .bind(distinct(ids.iter().map(IdentityId::as_uuid)))
            .bind(account.as_uuid())
            .all(self.connection()?, LabelRow)
            .await
    }

    async fn identity_facts(
        &mut self,
        account: AccountId,
        application: ApplicationId,
        ids: &[IdentityId],
    ) -> Result<IdentityFacts, StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT i.id, i.is_active, {membership} FROM unnest($1) AS asked (id) \
             CROSS JOIN LATERAL (SELECT o.id, o.is_active FROM identities AS o \
                 WHERE o.account_id = $2 AND o.id = asked.id OFFSET 0) AS i \
             LEFT JOIN LATERAL (SELECT o.* FROM memberships AS o \
                 WHERE (o.application_id, o.identity_id) >= ($3, i.id) \
                 ORDER BY o.application_id, o.identity_id LIMIT 1) AS m \
             ON m.application_id = $3 AND m.identity_id = i.id",
            membership = MembershipRow.of("m")
        );
        if ids.is_empty() {
            return Ok(IdentityFacts::new());
        }
        Statement::new(&SELECT)
            .bind(distinct(ids.iter().map(IdentityId::as_uuid)))
            .bind(account.as_uuid())
            .bind(application.as_uuid())
            .all(self.connection()?, IdentityFactRow)
            .await
    }

    async fn members(&mut self, application: ApplicationId) -> Result<Vec<SubjectFact>, StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT i.id, i.is_active, m.status FROM memberships AS m \
             JOIN identities AS i ON i.account_id = m.account_id AND i.id = m.identity_id \
             WHERE m.application_id = $1 ORDER BY i.id"
        );
        Statement::new(&SELECT)
            .bind(application.as_uuid())
            .all(self.connection()?, SubjectRow)
            .await
    }

    async fn memberships(&mut self, id: IdentityId) -> Result<Vec<Membership>, StoreError> {
        static SELECT: SqlText =
            sql!("SELECT {MembershipRow} FROM memberships WHERE identity_id = $1 ORDER BY application_id");
        let select = Statement::new(&SELECT).bind(id.as_uuid());
        select.all(self.connection()?, MembershipRow).await
    }

    async fn standings(
        &mut self,
        account: AccountId,
        id: IdentityId,
    ) -> Result<Vec<(EnvironmentId, MembershipStatus)>, StoreError> {
        static SELECT: SqlText = sql!(
            "SELECT e.id, m.status FROM memberships AS m \
             JOIN environments AS e ON e.application_id = m.application_id \
             WHERE m.identity_id = $1 AND m.account_id = $2 ORDER BY e.id"
        );
        Statement::new(&SELECT)
            .bind(id.as_uuid())
            .bind(account.as_uuid())
            .all(self.connection()?, StandingRow)
            .await
    }
}

#[async_trait]
impl IdentityWriter for UnitOfWork {
    async fn insert_identities(&mut self, identities: &[Identity]) -> Result<(), StoreError> {
        static INSERT: SqlText = sql!(
            "INSERT INTO identities (account_id, id, email, first_name, last_name, name_folded, \
             searched, avatar_url, external_id, metadata, is_active, created_at, updated_at) \
             SELECT $1, n.* FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) AS n"
        );
        static TAKEN: SqlText = sql!(
            "WITH n AS (SELECT * FROM unnest($1) AS wanted (email)) \
             SELECT EXISTS (SELECT FROM n GROUP BY n.email HAVING count(*) > 1) \
             OR EXISTS (SELECT FROM n CROSS JOIN LATERAL (SELECT FROM identities AS o \
                 WHERE o.account_id = $2 AND o.email = n.email OFFSET 0) AS o)"
        );
        let Some(account) = identities.first().map(|identity| identity.account_id) else {
            return Ok(());
        };
        ensure(
            identities.iter().all(|identity| identity.account_id == account),
            "a call writes identities of one account",
        )?;
        let insert = |ids| {
            Statement::new(&INSERT)
                .bind(account.as_uuid())
                .bind(ids)
                .bind(column(identities, |i| i.email.as_str()))
                .bind(column(identities, |i| i.first_name.as_str()))
                .bind(column(identities, |i| i.last_name.as_str()))
                .bind(column(identities, |i| fold_case(&i.name())))
                .bind(column(identities, Identity::searched_text))
                .bind(column(identities, |i| i.avatar_url.as_ref().map(AvatarUrl::as_str)))
                .bind(column(identities, |i| i.external_id.as_ref().map(ExternalId::as_str)))
                .bind(column(identities, |i| i.metadata.as_ref().map(JsonObject::as_str)))
                .bind(column(identities, |i| i.is_active))
                .bind(instants(identities, |i| i.created_at))
                .bind(instants(identities, |i| i.updated_at))
        };
        let inserted = self.insert(column(identities, |i| i.id.as_uuid()), insert).await;
        // Where more than one rule is broken, the rule of emails is the one to name.
        let is_taken = Statement::new(&TAKEN)
            .bind(column(identities, |i| i.email.as_str()))
            .bind(account.as_uuid());
        self.rather(inserted, Unique::IdentityEmail, is_taken).await
    }

    async fn update_identity(&mut self, identity: &Identity) -> Result<(), StoreError> {
        static UPDATE: SqlText = sql!(
            "UPDATE identities SET email = $1, first_name = $2, last_name = $3, name_folded = $4, \
             avatar_url = $5, external_id = $6, metadata = $7, is_active = $8, created_at = $9, updated_at = $10, \
             searched = $11 WHERE account_id = $12 AND id = $13"
        );
        static TAKEN: SqlText =
            sql!("SELECT EXISTS (SELECT FROM identities WHERE account_id = $1 AND email = $2 AND id <> $3)");
        let update = Statement::new(&UPDATE)
            .bind(identity.email.as_str())
            .bind(identity.first_name.as_str())
            .bind(identity.last_name.as_str())
            .bind(fold_case(&identity.name()))
            .bind(identity.avatar_url.as_ref().map(AvatarUrl::as_str))
            .bind(identity.external_id.as_ref().map(ExternalId::as_str))
            .bind(identity.metadata.as_ref().map(JsonObject::as_str))
            .bind(identity.is_active)
            .bind(identity.created_at)
            .bind(identity.updated_at)
            .bind(identity.searched_text())
            .bind(identity.account_id.as_uuid())
            .bind(identity.id.as_uuid());
        let updated = self.update(1, update).await;
        // Where more than one rule is broken, the rule of emails is the one to name.
        let is_taken = Statement::new(&TAKEN)
            .bind(identity.account_id.as_uuid())
            .bind(identity.email.as_str())
            .bind(identity.id.as_uuid());
        match updated {
            Err(StoreError::Duplicate(_)) => self.rather(updated, Unique::IdentityEmail, is_taken).await,
            other => other,
        }
    }

    async fn delete_identity(&mut self, account: AccountId, id: IdentityId) -> Result<(), StoreError> {
        static HOLDS: SqlText = sql!(
            "SELECT EXISTS (SELECT FROM memberships AS m \
             JOIN environments AS e ON e.application_id = m.application_id \
             JOIN assignments AS a ON a.environment_id = e.id AND a.identity_id = m.identity_id \
             WHERE m.identity_id = $1 AND m.account_id = $2)"
        );
        static MEMBERSHIPS: SqlText = sql!("DELETE FROM memberships WHERE identity_id = $1 AND account_id = $2");
        static IDENTITY: SqlText = sql!("DELETE FROM identities WHERE id = $1 AND account_id = $2");
        let connection = self.connection()?;
        let about = |sql| Statement::new(sql).bind(id.as_uuid()).bind(account.as_uuid());
        let holds = about(&HOLDS).one(connection, FlagRow).await?;
        ensure(!holds, "a deleted identity holds an assignment")?;
        let (memberships, identity) = (
            about(&MEMBERSHIPS).execute(connection),
            about(&IDENTITY).execute(connection),
        );
        future::try_join(memberships, identity).await?;
        Ok(())
    }

    async fn insert_memberships(&mut self, memberships: &[Membership]) -> Result<(), StoreError> {
        // The foreign keys see to it that an identity is a member of its own account's applications alone.
        static INSERT: SqlText = sql!(
            "INSERT INTO memberships (id, application_id, identity_id, status, invited_at, \
             activated_at, deactivated_at, created_at, account_id) \
             SELECT n.*, a.account_id FROM unnest($1, $2, $3, $4, $5, $6, $7, $8) AS n (id, application_id, \
             identity_id, status, invited_at, activated_at, deactivated_at, created_at) \
             CROSS JOIN LATERAL (SELECT o.account_id FROM applications AS o \
             WHERE o.id = n.application_id OFFSET 0) AS a"
        );
        self.insert(column(memberships, |m| m.id.as_uuid()), |ids| {
            rows(&INSERT, ids, memberships)
        })
        .await
    }

    async fn update_memberships(&mut self, memberships: &[Membership]) -> Result<(), StoreError> {
        static UPDATE: SqlText = sql!(
            "UPDATE memberships AS m SET status = n.status, invited_at = n.invited_at, \
             activated_at = n.activated_at, deactivated_at = n.deactivated_at, created_at = n.created_at \
             FROM (SELECT old.place, new.* FROM unnest($1, $2, $3, $4, $5, $6, $7, $8) AS new (id, application_id, \
                 identity_id, status, invited_at, activated_at, deactivated_at, created_at) \
                 CROSS JOIN LATERAL (SELECT o.ctid AS place, o.application_id, o.identity_id, o.id FROM memberships AS o \
                 WHERE (o.application_id, o.identity_id) >= (new.application_id, new.identity_id) \
                 ORDER BY o.application_id, o.identity_id LIMIT 1) AS old \
                 WHERE old.application_id = new.application_id AND old.identity_id = new.identity_id \
                 AND old.id = new.id) AS n WHERE m.ctid = n.place"
        );
        let ids = column(memberships, |m| m.id.as_uuid());
        self.update(memberships.len(), rows(&UPDATE, ids, memberships)).await
    }
}

fn rows<'a>(sql: &'static SqlText, ids: Vec<Uuid>, memberships: &'a [Membership]) -> Statement<'a> {
    Statement::new(sql)
        .bind(ids)
        .bind(column(memberships, |m| m.application_id.as_uuid()))
        .bind(column(memberships, |m| m.identity_id.as_uuid()))
        .bind(column(memberships, |m| m.status.as_str()))
        .bind(optional_instants(memberships, |m| m.invited_at))
        .bind(optional_instants(memberships, |m| m.activated_at))
        .bind(optional_instants(memberships, |m| m.deactivated_at))
        .bind(instants(memberships, |m| m.created_at))
}

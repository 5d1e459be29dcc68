//! Pages of the list of assignments.
//!
//! A page is found in one of two ways, and both count exactly:
//!
//! - **Few rows** fit the most selective filter (or search word): they are all fetched through its index, filtered, sorted
//!   and counted in one statement.
//! - **Many rows** do: an index gives them in the order of the page, from whichever end is nearer, and filters are checked on
//!   the index's own columns. The number of an environment's assignments is kept; other numbers are counted on an index.
//!
//! Names are looked up for the rows of the page alone, one by one (`OFFSET 0`), whatever the planner believes.

use crate::search::{ACCOUNT, Sql, Word, words};
use crate::statement::{Connection, Statement};
use canopy_domain::assignment::listing::{AssignmentQuery, AssignmentSort, AssignmentView};
use canopy_domain::port::StoreError;
use canopy_domain::{AccessType, EnvironmentId, Page, Timestamp};
use canopy_storage_sql::Row as _;
use canopy_storage_sql::listing::{Effort, Walk, direction, offset, sorting, window_condition};
use canopy_storage_sql::rows::CountRow;
use canopy_storage_sql::rows::assignment::KeptCountRow;
use canopy_storage_sql::rows::assignment::{VIEW, view_columns, views_of};
use canopy_storage_sql::{SqlText, sql};
use std::fmt::Write as _;

/// Sorting a row costs about as much as reading twenty from an index.
pub(crate) const EFFORT: Effort = Effort { few: 4_000, part: 20 };

/// Where the rows of a list come from: FROM and WHERE of the assignments `s` that fit the most selective filter.
struct Source {
    from: String,
    conditions: String,
    /// The word that all rows have.
    word: Option<Word>,
}

/// The rows of a list, by their number.
enum Rows {
    None,
    Few(Source),
    Many,
}

struct Listing<'q> {
    query: &'q AssignmentQuery,
    sql: Sql<'q>,
    words: Vec<Word>,
    /// The parameters of the instant, node, role and source node, where they are asked about.
    now: String,
    node: Option<String>,
    role: Option<String>,
    source_node: Option<String>,
}

/// A page of the list.
pub(in super::super) async fn views(
    connection: Connection<'_>,
    environment: EnvironmentId,
    query: &AssignmentQuery,
    now: Timestamp,
    effort: Effort,
) -> Result<Page<AssignmentView>, StoreError> {
    static KEPT: SqlText = sql!("SELECT assignment_count FROM environments WHERE id = $1");
    let mut sql = Sql::new(environment.as_uuid());
    let Some(words) = words(query.search.as_ref(), &mut sql) else {
        return Ok(Page {
            items: vec![],
            item_count: 0,
        });
    };
    let mut listing = Listing {
        query,
        words,
        now: if query.status.is_some() {
            sql.value(now, "timestamptz")
        } else {
            String::new()
        },
        node: query.held_at.map(|at| sql.value(at.node.as_uuid(), "uuid")),
        role: query.role.map(|id| sql.value(id.as_uuid(), "uuid")),
        source_node: query.source_node.map(|id| sql.value(id.as_uuid(), "uuid")),
        sql,
    };
    let kept = Statement::new(&KEPT).bind(environment.as_uuid());
    let total: Option<u64> = kept.first(connection, KeptCountRow).await?;
    let total = total.unwrap_or_default();
    let most = effort.most(total);
    listing.drop_words_in_all(connection).await?;
    match listing.few(connection, total, most).await? {
        Rows::None => Ok(Page {
            items: vec![],
            item_count: 0,
        }),
        Rows::Few(source) => listing.sorted(connection, &source).await,
        Rows::Many => listing.walked(connection, total).await,
    }
}

impl Listing<'_> {
    async fn count_of(&self, connection: Connection<'_>, text: String) -> Result<u64, StoreError> {
        self.sql.statement(text).one(connection, CountRow).await
    }

    /// Drops words that restrict nothing.
    async fn drop_words_in_all(&mut self, connection: Connection<'_>) -> Result<(), StoreError> {
        if self.words.is_empty() {
            return Ok(());
        }
        let all: Vec<String> = self.words.iter().map(Word::in_all).collect();
        let text = format!("{} SELECT {}", self.beginning(), all.join(", "));
        let mut in_all = Vec::with_capacity(all.len());
        self.sql
            .statement(text)
            .for_each(connection, "assignments", |row| {
                for column in 0..all.len() {
                    in_all.push(row.flag(column)?);
                }
                Ok(())
            })
            .await?;
        let mut is_in_all = in_all.into_iter();
        self.words.retain(|_| !is_in_all.next().unwrap_or_default());
        Ok(())
    }

    /// The nodes at which listed assignments are made, as a set of ids, where the query restricts them.
    fn nodes(&self) -> Option<String> {
        let node = self.node.as_deref()?;
        Some(match self.query.held_at.and_then(|at| at.access_type) {
            Some(AccessType::Direct) => format!("SELECT {node} AS id"),
            Some(AccessType::Inherited) => format!("SELECT id FROM way WHERE id <> {node}"),
            None => "SELECT id FROM way".to_owned(),
        })
    }

    /// The beginning of a statement: the ids of the node that is asked about and of those above it, in `way`. Each once, so
    /// that a circle, which only damage can make, ends too.
    fn beginning(&self) -> String {
        let mut beginning = self.sql.beginning();
        if let Some(node) = &self.node {
            let _ = write!(
                beginning,
                ", way (id) AS (SELECT {node} UNION SELECT above.parent_id FROM way CROSS JOIN LATERAL \
                 (SELECT o.parent_id FROM nodes AS o WHERE o.environment_id = $1 AND o.id = way.id OFFSET 0) AS above \
                 WHERE above.parent_id IS NOT NULL)"
            );
        }
        beginning
    }

    /// The source that has at most `most` rows, if there is one.
    async fn few(&self, connection: Connection<'_>, total: u64, most: u64) -> Result<Rows, StoreError> {
        let by = |condition: &str| Source {
            from: "assignments AS s".to_owned(),
            conditions: format!("s.environment_id = $1 AND {condition}"),
            word: None,
        };
        let mut sources = Vec::new();
        if let Some(node) = &self.source_node {
            sources.push(by(&format!("s.node_id = {node}")));
        }
        if let Some(nodes) = self.nodes() {
            sources.push(Source {
                from: format!(
                    "({nodes}) AS held CROSS JOIN LATERAL (SELECT a.* FROM assignments AS a \
                     WHERE a.environment_id = $1 AND a.node_id = held.id OFFSET 0) AS s"
                ),
                conditions: "true".to_owned(),
                word: None,
            });
        }
        if let Some(role) = &self.role {
            sources.push(by(&format!("s.role_id = {role}")));
        }
        let limit = most.saturating_add(1);
        for source in sources {
            let count = format!(
                "{} SELECT count(*) FROM (SELECT FROM {} WHERE {} LIMIT {limit}) AS one",
                self.beginning(),
                source.from,
                source.conditions,
            );
            if self.count_of(connection, count).await? <= most {
                return Ok(Rows::Few(source));
            }
        }
        for word in &self.words {
            match self.rows_with(connection, word, most).await? {
                Some(0) => return Ok(Rows::None),
                Some(_) => {
                    return Ok(Rows::Few(Source {
                        from: format!(
                            "({}) AS found CROSS JOIN LATERAL (SELECT a.* FROM assignments AS a \
                         WHERE a.environment_id = $1 AND a.id = found.id OFFSET 0) AS s",
                            word.assignments()
                        ),
                        conditions: "true".to_owned(),
                        word: Some(word.clone()),
                    }));
                }
                None => {}
            }
        }
        Ok(if total <= most {
            Rows::Few(Source {
                from: "assignments AS s".to_owned(),
                conditions: "s.environment_id = $1".to_owned(),
                word: None,
            })
        } else {
            Rows::Many
        })
    }

    /// Counts the assignments with a word; `None` if there are more than `most`. One with two matches is counted twice.
    async fn rows_with(&self, connection: Connection<'_>, word: &Word, most: u64) -> Result<Option<u64>, StoreError> {
        let mut count = 0;
        for part in word.parts() {
            let limit = most.saturating_add(1);
            let counted = format!(
                "{} SELECT count(*) FROM ({part} LIMIT {limit}) AS one",
                self.beginning()
            );
            count += self.count_of(connection, counted).await?;
            if count > most {
                return Ok(None);
            }
        }
        Ok(Some(count))
    }

    fn conditions(&self) -> String {
        let mut conditions = String::new();
        if let Some(nodes) = self.nodes() {
            let _ = write!(conditions, " AND s.node_id = ANY (ARRAY({nodes}))");
        }
        if let Some(role) = &self.role {
            let _ = write!(conditions, " AND s.role_id = {role}");
        }
        if let Some(node) = &self.source_node {
            let _ = write!(conditions, " AND s.node_id = {node}");
        }
        conditions
    }

    /// The key of the order, and whose name it is.
    fn sort(&self) -> (String, &'static [Named]) {
        match self.query.sort {
            AssignmentSort::Name => ("i.name_folded".to_owned(), &[Named::Identity]),
            AssignmentSort::Role => ("r.name_folded".to_owned(), &[Named::Role]),
            AssignmentSort::AccessType => match &self.node {
                Some(node) => (format!("(s.node_id <> {node})"), &[]),
                None => ("false".to_owned(), &[]),
            },
            AssignmentSort::CreatedAt => ("s.created_at".to_owned(), &[]),
        }
    }

    /// The words that rows must still be searched for, where all have one of them.
    fn words_but(&self, found: Option<&Word>) -> Vec<&Word> {
        self.words.iter().filter(|word| Some(*word) != found).collect()
    }

    /// Few rows: all of them, sorted and counted.
    async fn sorted(&self, connection: Connection<'_>, source: &Source) -> Result<Page<AssignmentView>, StoreError> {
        let (sort, named) = self.sort();
        let others = self.words_but(source.word.as_ref());
        let named = if others.is_empty() { named } else { &Named::ALL };
        let tables: String = named.iter().map(|one| one.joined()).collect();
        let mut conditions = self.conditions();
        if let Some(status) = self.query.status {
            let _ = write!(conditions, " AND {}", window_condition(status, &self.now));
        }
        for word in others {
            let _ = write!(conditions, " AND {}", word.in_names());
        }
        let order = direction(self.query.order);
        let all = format!(
            "{}, matched AS MATERIALIZED (SELECT s.id AS id, {sort} AS sort_key FROM {}{tables} WHERE {}{conditions})",
            self.beginning(),
            source.from,
            source.conditions,
        );
        let page = format!(
            "{all}, page AS MATERIALIZED (SELECT id, sort_key FROM matched ORDER BY sort_key {order}, id {order} \
             LIMIT {} OFFSET {}) SELECT {}, (SELECT count(*) FROM matched) FROM page{} \
             ORDER BY page.sort_key {order}, page.id {order}",
            self.query.page.take(),
            offset(self.query.page.offset()),
            view_columns("s", "i"),
            of_page(),
        );
        let rows: Vec<_> = self.sql.statement(page).all(connection, (VIEW, CountRow)).await?;
        let item_count = match rows.first() {
            Some((_, count)) => *count,
            None => {
                self.count_of(connection, format!("{all} SELECT count(*) FROM matched"))
                    .await?
            }
        };
        let rows = rows.into_iter().map(|(row, _)| row);
        Ok(Page {
            items: views_of(rows, self.query.held_at),
            item_count,
        })
    }

    fn walk_conditions(&self) -> String {
        let mut conditions = self.conditions();
        for word in &self.words {
            let _ = write!(conditions, " AND {}", word.in_sets());
        }
        if let Some(status) = self.query.status {
            let _ = write!(conditions, " AND {}", window_condition(status, &self.now));
        }
        conditions
    }

    /// Counts the rows, many as they are.
    async fn count(&self, connection: Connection<'_>, total: u64) -> Result<u64, StoreError> {
        let conditions = self.walk_conditions();
        if conditions.is_empty() {
            return Ok(total);
        }
        let count = format!(
            "{} SELECT count(*) FROM assignments AS s WHERE s.environment_id = $1{conditions}",
            self.beginning()
        );
        self.count_of(connection, count).await
    }

    /// Many rows: read in the order of the page, from the nearer end.
    async fn walked(&self, connection: Connection<'_>, total: u64) -> Result<Page<AssignmentView>, StoreError> {
        let item_count = self.count(connection, total).await?;
        let Some(way) = Walk::to(self.query.page, item_count, self.query.order) else {
            return Ok(Page {
                items: vec![],
                item_count,
            });
        };
        let (walk, order) = (direction(way.order), direction(self.query.order));
        let (sort, _) = self.sort();
        // The rows of one owner at a time, in the order of the owners' names.
        let by_owner = |table: &str, owner: &str, alias: &str, key: &str| {
            format!(
                "{table} AS {alias} CROSS JOIN LATERAL (SELECT a.id, a.identity_id, a.role_id, a.node_id, \
                 a.effective_from, a.effective_to FROM assignments AS a \
                 WHERE a.environment_id = $1 AND a.{key} = {alias}.id OFFSET 0) AS s WHERE {alias}.{owner}"
            )
        };
        let from = match self.query.sort {
            AssignmentSort::Name => by_owner("identities", &format!("account_id = {ACCOUNT}"), "i", "identity_id"),
            AssignmentSort::Role => by_owner("roles", "environment_id = $1", "r", "role_id"),
            AssignmentSort::AccessType | AssignmentSort::CreatedAt => {
                "assignments AS s WHERE s.environment_id = $1".to_owned()
            }
        };
        let sorting = sorting(&sort, sort == "false", walk);
        let page = format!(
            "{}, page AS MATERIALIZED (SELECT s.id AS id, {sort} AS sort_key FROM {from}{} \
             ORDER BY {sorting}s.id {walk} LIMIT {} OFFSET {}) SELECT {} FROM page{} \
             ORDER BY page.sort_key {order}, page.id {order}",
            self.beginning(),
            self.walk_conditions(),
            way.length,
            offset(way.skipped),
            view_columns("s", "i"),
            of_page(),
        );
        let rows: Vec<_> = self.sql.statement(page).all(connection, VIEW).await?;
        Ok(Page {
            items: views_of(rows, self.query.held_at),
            item_count,
        })
    }
}

/// The rows of `page`, each with what people read of it.
fn of_page() -> String {
    let mut joined = " CROSS JOIN LATERAL (SELECT a.* FROM assignments AS a WHERE a.environment_id = $1 \
                      AND a.id = page.id OFFSET 0) AS s"
        .to_owned();
    joined.extend(Named::ALL.iter().map(|one| one.joined()));
    joined
}

/// The kinds of things that an assignment names.
#[derive(Debug, Clone, Copy)]
enum Named {
    Identity,
    Role,
    Node,
}

impl Named {
    const ALL: [Self; 3] = [Self::Identity, Self::Role, Self::Node];

    /// Looks it up for the assignment `s`.
    fn joined(self) -> String {
        match self {
            Self::Identity => format!(
                " CROSS JOIN LATERAL (SELECT o.* FROM identities AS o WHERE o.account_id = {ACCOUNT} \
                 AND o.id = s.identity_id OFFSET 0) AS i"
            ),
            Self::Role => " CROSS JOIN LATERAL (SELECT o.* FROM roles AS o WHERE o.environment_id = $1 \
                           AND o.id = s.role_id OFFSET 0) AS r"
                .to_owned(),
            Self::Node => " CROSS JOIN LATERAL (SELECT o.* FROM nodes AS o WHERE o.environment_id = $1 \
                           AND o.id = s.node_id OFFSET 0) AS n"
                .to_owned(),
        }
    }
}

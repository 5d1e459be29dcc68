//! Pages of the list of assignments.
//!
//! A page is found in one of two ways, and both count exactly:
//!
//! - **Few rows** fit the most selective filter (or search word): they are all fetched through its index, filtered, sorted
//!   and counted in one statement.
//! - **Many rows** do: an index gives them in the order of the page, from whichever end is nearer, and filters are checked on
//!   the index's own columns. A count goes over the narrowest index that has the filters' columns, and is kept where there is
//!   no filter.
//!
//! Names are looked up for the rows of the page alone.

use super::{IDENTITIES, NODES, ROLES};
use crate::search::{Sql, Word, words};
use crate::statement::Statement;
use canopy_domain::assignment::listing::{AssignmentQuery, AssignmentSort, AssignmentView};
use canopy_domain::port::StoreError;
use canopy_domain::{AccessType, AssignmentStatus, EnvironmentId, Page, Timestamp};
use canopy_storage_sql::listing::{Effort, Walk, direction, offset, sorting, window_condition};
use canopy_storage_sql::rows::CountRow;
use canopy_storage_sql::rows::assignment::{KeptCountRow, VIEW, view_columns, views_of};
use canopy_storage_sql::{Row as _, SqlText, sql};
use diesel::SqliteConnection;
use std::fmt::Write as _;

/// Sorting a row costs about as much as reading ten from an index.
pub(crate) const EFFORT: Effort = Effort { few: 4_000, part: 10 };

/// The account of environment `?1`.
const ACCOUNT: &str = "(SELECT a.account_id FROM environments AS e JOIN applications AS a \
                                  ON a.id = e.application_id WHERE e.id = ?1)";

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
pub(in super::super) fn views(
    c: &mut SqliteConnection,
    environment: EnvironmentId,
    query: &AssignmentQuery,
    now: Timestamp,
    effort: Effort,
) -> Result<Page<AssignmentView>, StoreError> {
    let total = kept_count(c, environment)?;
    let mut sql = Sql::new(environment.as_bytes());
    let words = words(query.search.as_ref(), &mut sql);
    let mut listing = Listing {
        query,
        words,
        now: if query.status.is_some() {
            sql.value(now)
        } else {
            String::new()
        },
        node: query.held_at.as_ref().map(|at| sql.value(at.node.as_bytes())),
        role: query.role.as_ref().map(|id| sql.value(id.as_bytes())),
        source_node: query.source_node.as_ref().map(|id| sql.value(id.as_bytes())),
        sql,
    };
    let most = effort.most(total);
    listing.drop_words_in_all(c)?;
    match listing.few(c, total, most)? {
        Rows::None => Ok(Page {
            items: vec![],
            item_count: 0,
        }),
        Rows::Few(source) => listing.sorted(c, &source),
        Rows::Many => listing.walked(c, total),
    }
}

/// The number of assignments of the environment.
fn kept_count(c: &mut SqliteConnection, environment: EnvironmentId) -> Result<u64, StoreError> {
    static SELECT: SqlText = sql!("SELECT {KeptCountRow} FROM environments WHERE id = ?1");
    let select = Statement::new(&SELECT).bind(environment.as_bytes());
    Ok(select.first(c, KeptCountRow)?.unwrap_or_default())
}

impl Listing<'_> {
    fn statement<'a>(&'a self, text: &'a str) -> Statement<'a> {
        self.sql.statement(text)
    }

    fn count_of(&self, c: &mut SqliteConnection, text: &str) -> Result<u64, StoreError> {
        let count = self.statement(text).first(c, CountRow)?;
        Ok(count.unwrap_or_default())
    }

    /// Drops words that restrict nothing.
    fn drop_words_in_all(&mut self, c: &mut SqliteConnection) -> Result<(), StoreError> {
        if self.words.is_empty() {
            return Ok(());
        }
        let all: Vec<String> = self.words.iter().map(Word::in_all).collect();
        let text = format!("{} SELECT {}", self.beginning(), all.join(", "));
        let mut in_all = Vec::with_capacity(all.len());
        self.statement(&text).for_each(c, "assignments", |row| {
            for column in 0..all.len() {
                in_all.push(row.flag(column)?);
            }
            Ok(())
        })?;
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
                ", way(id) AS (SELECT {node} UNION SELECT nodes.parent_id FROM way JOIN nodes \
                 ON nodes.environment_id = ?1 AND nodes.id = way.id WHERE nodes.parent_id IS NOT NULL)"
            );
        }
        beginning
    }

    /// The source that has at most `most` rows, if there is one.
    fn few(&self, c: &mut SqliteConnection, total: u64, most: u64) -> Result<Rows, StoreError> {
        let by = |index: &str, conditions: &str| Source {
            from: format!("assignments AS s INDEXED BY {index}"),
            conditions: format!("s.environment_id = ?1 AND {conditions}"),
            word: None,
        };
        let mut sources = Vec::new();
        if let Some(node) = &self.source_node {
            sources.push(by("assignments_by_node", &format!("s.node_id = {node}")));
        }
        if let Some(nodes) = self.nodes() {
            sources.push(Source {
                from: format!("({nodes}) AS held CROSS JOIN assignments AS s INDEXED BY assignments_by_node"),
                conditions: "s.environment_id = ?1 AND s.node_id = held.id".to_owned(),
                word: None,
            });
        }
        if let Some(role) = &self.role {
            sources.push(by("assignments_by_role", &format!("s.role_id = {role}")));
        }
        let is_small = |c: &mut SqliteConnection, source: &Source| {
            let sql = format!(
                "{}, one AS (SELECT 1 FROM {} WHERE {} LIMIT {}) SELECT count(*) FROM one",
                self.beginning(),
                source.from,
                source.conditions,
                most.saturating_add(1)
            );
            self.count_of(c, &sql).map(|count| count <= most)
        };
        for source in sources {
            if is_small(c, &source)? {
                return Ok(Rows::Few(source));
            }
        }
        for word in &self.words {
            match self.rows_with(c, word, most)? {
                Some(0) => return Ok(Rows::None),
                Some(_) => {
                    return Ok(Rows::Few(Source {
                        from: format!("({}) AS found CROSS JOIN assignments AS s", word.assignments()),
                        conditions: "s.environment_id = ?1 AND s.id = found.id".to_owned(),
                        word: Some(word.clone()),
                    }));
                }
                None => {}
            }
        }
        Ok(if total <= most {
            Rows::Few(Source {
                from: "assignments AS s".to_owned(),
                conditions: "s.environment_id = ?1".to_owned(),
                word: None,
            })
        } else {
            Rows::Many
        })
    }

    /// Counts the assignments with a word; `None` if there are more than `most`. One with two matches is counted twice.
    fn rows_with(&self, c: &mut SqliteConnection, word: &Word, most: u64) -> Result<Option<u64>, StoreError> {
        let mut count = 0;
        for part in word.parts() {
            let limit = most.saturating_add(1);
            let sql = format!(
                "{}, one AS (SELECT 1 {part} LIMIT {limit}) SELECT count(*) FROM one",
                self.beginning()
            );
            count += self.count_of(c, &sql)?;
            if count > most {
                return Ok(None);
            }
        }
        Ok(Some(count))
    }

    /// The conditions on `s` that the index of the walk has columns for. Words are looked for in sets of ids.
    fn conditions(&self) -> String {
        let mut conditions = String::new();
        if let Some(nodes) = self.nodes() {
            let _ = write!(conditions, " AND s.node_id IN ({nodes})");
        }
        if let Some(role) = &self.role {
            let _ = write!(conditions, " AND s.role_id = {role}");
        }
        if let Some(node) = &self.source_node {
            let _ = write!(conditions, " AND s.node_id = {node}");
        }
        conditions
    }

    fn sort(&self) -> (String, &'static str) {
        match self.query.sort {
            AssignmentSort::Name => ("i.name_folded".to_owned(), IDENTITIES),
            AssignmentSort::Role => ("r.name_folded".to_owned(), ROLES),
            AssignmentSort::AccessType => match &self.node {
                Some(node) => (format!("(s.node_id <> {node})"), ""),
                None => ("0".to_owned(), ""),
            },
            AssignmentSort::CreatedAt => ("s.created_at".to_owned(), ""),
        }
    }

    /// The words that rows must still be searched for, where all have one of them.
    fn words_but(&self, found: Option<&Word>) -> Vec<&Word> {
        self.words.iter().filter(|word| Some(*word) != found).collect()
    }

    /// Few rows: all of them, sorted and counted.
    fn sorted(&self, c: &mut SqliteConnection, source: &Source) -> Result<Page<AssignmentView>, StoreError> {
        let (sort, table) = self.sort();
        let others = self.words_but(source.word.as_ref());
        let tables = if others.is_empty() {
            table.to_owned()
        } else {
            [IDENTITIES, ROLES, NODES].concat()
        };
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
            "{all}, page AS (SELECT id, sort_key FROM matched ORDER BY sort_key {order}, id {order} LIMIT {} OFFSET {}) \
             SELECT {}, (SELECT count(*) FROM matched) {} ORDER BY page.sort_key {order}, s.id {order}",
            self.query.page.take(),
            offset(self.query.page.offset()),
            view_columns("s", "i"),
            FOR_PAGE,
        );
        let rows: Vec<_> = self.statement(&page).all(c, (VIEW, CountRow))?;
        let item_count = match rows.first() {
            Some((_, count)) => *count,
            None => self.count_of(c, &format!("{all} SELECT count(*) FROM matched"))?,
        };
        let rows = rows.into_iter().map(|(row, _)| row);
        Ok(Page {
            items: views_of(rows, self.query.held_at),
            item_count,
        })
    }

    /// The conditions of a walk: those of its index, the words, and the state. The name's index has no windows: there the
    /// state is a set of ids, of the rows that are in it or of those that are not, whichever are fewer as a rule.
    fn walk_conditions(&self, has_window: bool) -> String {
        let mut conditions = self.conditions();
        for word in &self.words {
            let _ = write!(conditions, " AND {}", word.in_sets());
        }
        match self.query.status {
            None => {}
            Some(status) if has_window => {
                let _ = write!(conditions, " AND {}", window_condition(status, &self.now));
            }
            Some(status) => {
                let (not, in_set) = match status {
                    AssignmentStatus::Active => ("NOT ", format!("NOT ({})", window_condition(status, &self.now))),
                    AssignmentStatus::Scheduled | AssignmentStatus::Expired => {
                        ("", window_condition(status, &self.now))
                    }
                };
                let _ = write!(
                    conditions,
                    " AND s.id {not}IN (SELECT s.id FROM assignments AS s INDEXED BY assignments_by_creation \
                     WHERE s.environment_id = ?1 AND {in_set})"
                );
            }
        }
        conditions
    }

    /// Counts the rows, many as they are.
    fn count(&self, c: &mut SqliteConnection, total: u64) -> Result<u64, StoreError> {
        let has_filter = self.query.status.is_some() || self.role.is_some() || !self.words.is_empty();
        let index = match (&self.role, self.nodes()) {
            (None, nodes) if !has_filter => {
                let Some(nodes) = nodes.or(self.source_node.as_ref().map(|node| format!("SELECT {node} AS id"))) else {
                    return Ok(total);
                };
                let both = self.source_node.as_ref().filter(|_| self.node.is_some());
                let both = both.map(|node| format!(" AND s.node_id = {node}")).unwrap_or_default();
                let count = format!(
                    "{}, made_at AS ({nodes}) SELECT count(*) FROM made_at CROSS JOIN assignments AS s \
                     INDEXED BY assignments_by_node ON s.environment_id = ?1 AND s.node_id = made_at.id WHERE TRUE{both}",
                    self.beginning()
                );
                return self.count_of(c, &count);
            }
            (Some(_), _) => "assignments_by_role",
            (None, _) if self.query.status.is_some() => "assignments_by_creation",
            (None, _) => "assignments_key",
        };
        let count = format!(
            "{} SELECT count(*) FROM assignments AS s INDEXED BY {index} WHERE s.environment_id = ?1{}",
            self.beginning(),
            self.walk_conditions(true)
        );
        self.count_of(c, &count)
    }

    /// Many rows: read in the order of the page, from the nearer end.
    fn walked(&self, c: &mut SqliteConnection, total: u64) -> Result<Page<AssignmentView>, StoreError> {
        let item_count = self.count(c, total)?;
        let Some(way) = Walk::to(self.query.page, item_count, self.query.order) else {
            return Ok(Page {
                items: vec![],
                item_count,
            });
        };
        let (walk, order) = (direction(way.order), direction(self.query.order));
        let (sort, _) = self.sort();
        let (from, has_window) = match self.query.sort {
            AssignmentSort::Name => (
                format!(
                    "identities AS i INDEXED BY identities_by_name CROSS JOIN assignments AS s INDEXED BY assignments_key \
                     ON s.environment_id = ?1 AND s.identity_id = i.id WHERE i.account_id = {ACCOUNT}"
                ),
                false,
            ),
            AssignmentSort::Role => (
                "roles AS r CROSS JOIN assignments AS s INDEXED BY assignments_by_role \
                 ON s.environment_id = r.environment_id AND s.role_id = r.id WHERE r.environment_id = ?1"
                    .to_owned(),
                true,
            ),
            AssignmentSort::AccessType => ("assignments AS s WHERE s.environment_id = ?1".to_owned(), true),
            AssignmentSort::CreatedAt => (
                "assignments AS s INDEXED BY assignments_by_creation WHERE s.environment_id = ?1".to_owned(),
                true,
            ),
        };
        let sorting = sorting(&sort, sort == "0", walk);
        let page = format!(
            "{}, page AS (SELECT s.id AS id, {sort} AS sort_key FROM {from}{} ORDER BY {sorting}s.id {walk} \
             LIMIT {} OFFSET {}) SELECT {} {FOR_PAGE} ORDER BY page.sort_key {order}, s.id {order}",
            self.beginning(),
            self.walk_conditions(has_window),
            way.length,
            offset(way.skipped),
            view_columns("s", "i"),
        );
        let rows: Vec<_> = self.statement(&page).all(c, VIEW)?;
        Ok(Page {
            items: views_of(rows, self.query.held_at),
            item_count,
        })
    }
}

/// The rows of `page` with what people read of them.
const FOR_PAGE: &str = "FROM page CROSS JOIN assignments AS s ON s.environment_id = ?1 AND s.id = page.id \
                        CROSS JOIN identities AS i ON i.id = s.identity_id AND i.account_id = (SELECT a.account_id \
                        FROM environments AS e JOIN applications AS a ON a.id = e.application_id WHERE e.id = ?1) \
                        CROSS JOIN roles AS r ON r.environment_id = s.environment_id AND r.id = s.role_id \
                        CROSS JOIN nodes AS n ON n.environment_id = s.environment_id AND n.id = s.node_id";

//! Statements of lists, with their values and the words of a search.

use crate::statement::Statement;
use crate::value::Value;
use canopy_domain::SearchWords;

/// The values of a statement under construction. Parameter 1 is the environment or account.
#[derive(Debug, Clone)]
pub(crate) struct Sql<'a> {
    values: Vec<Value<'a>>,
    casts: Vec<&'static str>,
}

impl<'a> Sql<'a> {
    pub(crate) fn new(first: impl Into<Value<'a>>) -> Self {
        Self {
            values: vec![first.into()],
            casts: vec!["uuid"],
        }
    }

    /// Adds a value of this type. The answer is its parameter.
    pub(crate) fn value(&mut self, value: impl Into<Value<'a>>, cast: &'static str) -> String {
        self.values.push(value.into());
        self.casts.push(cast);
        format!("${}", self.values.len())
    }

    /// The beginning of a statement, which names every value: each statement of a list has the same, and none needs all.
    pub(crate) fn beginning(&self) -> String {
        let parameters: Vec<String> = (1..)
            .zip(&self.casts)
            .map(|(number, cast)| format!("${number}::{cast}"))
            .collect();
        format!("WITH RECURSIVE given AS (SELECT {})", parameters.join(", "))
    }

    /// A statement that has the [beginning](Self::beginning).
    pub(crate) fn statement(&self, text: String) -> Statement<'a> {
        let values = self.values.iter().cloned();
        values.fold(Statement::made(text), Statement::bind)
    }
}

/// One word of a search, by its parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word(String);

/// The account of environment `$1`.
pub(crate) const ACCOUNT: &str = "(SELECT p.account_id FROM environments AS e JOIN applications AS p \
                                  ON p.id = e.application_id WHERE e.id = $1)";

/// The words of a search. They are padded to a power of two by repeating the last one, so that there are few texts of
/// statements to prepare. `None` where nothing can have them: PostgreSQL keeps no text with a NUL in it, nor takes one.
pub(crate) fn words<'a>(search: Option<&'a SearchWords>, sql: &mut Sql<'a>) -> Option<Vec<Word>> {
    let words = search.map(SearchWords::words).unwrap_or_default();
    if words.iter().any(|word| word.contains('\0')) {
        return None;
    }
    let mut parameters: Vec<Word> = words
        .iter()
        .map(|word| Word(sql.value(word.as_str(), "text")))
        .collect();
    if let Some(last) = parameters.last().cloned() {
        parameters.resize(words.len().next_power_of_two(), last);
    }
    Some(parameters)
}

impl Word {
    /// The condition that a column holds the word.
    pub(crate) fn within(&self, column: &str) -> String {
        format!("strpos({column}, {}) > 0", self.0)
    }

    /// The ids of the assignments that the word is found for, by identity, by role and by node: three queries. Each thing's
    /// assignments are looked up by themselves (`OFFSET 0`), whatever the planner believes of their number.
    pub(crate) fn parts(&self) -> [String; 3] {
        let part = |table: &str, owner: &str, column: &str, key: &str| {
            format!(
                "SELECT s.id FROM {table} AS o CROSS JOIN LATERAL (SELECT a.id FROM assignments AS a \
                 WHERE a.environment_id = $1 AND a.{key} = o.id OFFSET 0) AS s WHERE {owner} AND {}",
                self.within(column)
            )
        };
        [
            part(
                "identities",
                &format!("o.account_id = {ACCOUNT}"),
                "o.searched",
                "identity_id",
            ),
            part("roles", "o.environment_id = $1", "o.name_folded", "role_id"),
            part("nodes", "o.environment_id = $1", "o.name_folded", "node_id"),
        ]
    }

    /// The ids of the assignments that the word is found for, each once.
    pub(crate) fn assignments(&self) -> String {
        self.parts().join(" UNION ")
    }

    /// The condition that the word is found for an assignment, of whose identity, role and node the rows are at hand.
    pub(crate) fn in_names(&self) -> String {
        format!(
            "({} OR {} OR {})",
            self.within("i.searched"),
            self.within("r.name_folded"),
            self.within("n.name_folded")
        )
    }

    /// The same, by sets of ids that are made once a statement.
    pub(crate) fn in_sets(&self) -> String {
        format!(
            "(s.role_id IN (SELECT id FROM roles WHERE environment_id = $1 AND {}) \
              OR s.identity_id IN (SELECT id FROM identities WHERE account_id = {ACCOUNT} AND {}) \
              OR s.node_id IN (SELECT id FROM nodes WHERE environment_id = $1 AND {}))",
            self.within("name_folded"),
            self.within("searched"),
            self.within("name_folded")
        )
    }

    /// The condition that every assignment of the environment has the word, because every node, role or person does. Each
    /// look ends at the first one without it.
    pub(crate) fn in_all(&self) -> String {
        format!(
            "(NOT EXISTS (SELECT 1 FROM nodes WHERE environment_id = $1 AND NOT {}) \
              OR NOT EXISTS (SELECT 1 FROM roles WHERE environment_id = $1 AND NOT {}) \
              OR NOT EXISTS (SELECT 1 FROM identities WHERE account_id = {ACCOUNT} AND NOT {}))",
            self.within("name_folded"),
            self.within("name_folded"),
            self.within("searched")
        )
    }
}

/// Patterns for `LIKE ALL`, one for each word: a text that has them all fits. `None` where nothing can have them.
pub(crate) fn patterns(search: Option<&SearchWords>) -> Option<Vec<String>> {
    let words = search.map(SearchWords::words).unwrap_or_default();
    let pattern = |word: &String| {
        let escaped = word.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
        (!word.contains('\0')).then(|| format!("%{escaped}%"))
    };
    words.iter().map(pattern).collect()
}

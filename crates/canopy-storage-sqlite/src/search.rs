//! Words of a search in SQL.

use crate::statement::{Statement, Value};
use canopy_domain::SearchWords;

/// The values of a statement under construction. Parameter 1 is the environment or account.
#[derive(Debug, Clone)]
pub(crate) struct Sql<'a> {
    values: Vec<Value<'a>>,
}

impl<'a> Sql<'a> {
    pub(crate) fn new(first: impl Into<Value<'a>>) -> Self {
        Self {
            values: vec![first.into()],
        }
    }

    /// Adds a value. The answer is its parameter, which the text must name.
    pub(crate) fn value(&mut self, value: impl Into<Value<'a>>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }

    /// The beginning of a statement, which names every value: each statement of a list has the same, and none needs all.
    pub(crate) fn beginning(&self) -> String {
        let parameters: Vec<String> = (1..=self.values.len()).map(|number| format!("?{number}")).collect();
        format!("WITH RECURSIVE given AS (SELECT {})", parameters.join(", "))
    }

    /// A statement that has the [beginning](Self::beginning).
    pub(crate) fn statement<'t>(&self, text: &'t str) -> Statement<'t>
    where
        'a: 't,
    {
        let values = self.values.iter().copied();
        values.fold(Statement::made(text), Statement::bind)
    }
}

/// One word of a search, by its parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word(String);

/// The words of a search. They are padded to a power of two by repeating the last one, so that there are few texts of
/// statements to prepare.
pub(crate) fn words<'a>(search: Option<&'a SearchWords>, sql: &mut Sql<'a>) -> Vec<Word> {
    let words = search.map(SearchWords::words).unwrap_or_default();
    let mut parameters: Vec<Word> = words.iter().map(|word| Word(sql.value(word.as_str()))).collect();
    if let Some(last) = parameters.last().cloned() {
        parameters.resize(words.len().next_power_of_two(), last);
    }
    parameters
}

impl Word {
    /// The condition that a column holds the word.
    pub(crate) fn within(&self, column: &str) -> String {
        format!("instr({column}, {}) > 0", self.0)
    }

    /// FROM and WHERE of the assignments that the word is found for: by identity, by role, by node.
    pub(crate) fn parts(&self) -> [String; 3] {
        let account = "(SELECT a.account_id FROM environments AS e JOIN applications AS a ON a.id = e.application_id \
                       WHERE e.id = ?1)";
        [
            format!(
                "FROM identities AS i NOT INDEXED CROSS JOIN assignments AS s INDEXED BY assignments_key \
                 ON s.environment_id = ?1 AND s.identity_id = i.id WHERE i.account_id = {account} AND {}",
                self.within("i.searched")
            ),
            format!(
                "FROM roles AS r CROSS JOIN assignments AS s INDEXED BY assignments_by_role \
                 ON s.environment_id = ?1 AND s.role_id = r.id WHERE r.environment_id = ?1 AND {}",
                self.within("r.name_folded")
            ),
            format!(
                "FROM nodes AS n CROSS JOIN assignments AS s INDEXED BY assignments_by_node \
                 ON s.environment_id = ?1 AND s.node_id = n.id WHERE n.environment_id = ?1 AND {}",
                self.within("n.name_folded")
            ),
        ]
    }

    /// The ids of the assignments that the word is found for, each once.
    pub(crate) fn assignments(&self) -> String {
        self.parts()
            .map(|part| format!("SELECT s.id AS id {part}"))
            .join(" UNION ")
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
        let account = "(SELECT a.account_id FROM environments AS e JOIN applications AS a ON a.id = e.application_id \
                       WHERE e.id = ?1)";
        format!(
            "(s.role_id IN (SELECT id FROM roles WHERE environment_id = ?1 AND {}) \
              OR s.identity_id IN (SELECT id FROM identities NOT INDEXED WHERE account_id = {account} AND {}) \
              OR s.node_id IN (SELECT id FROM nodes WHERE environment_id = ?1 AND {}))",
            self.within("name_folded"),
            self.within("searched"),
            self.within("name_folded")
        )
    }

    /// The condition that every assignment of the environment has the word, because every node, role or person does. Each
    /// look ends at the first one without it.
    pub(crate) fn in_all(&self) -> String {
        let account = "(SELECT a.account_id FROM environments AS e JOIN applications AS a ON a.id = e.application_id \
                       WHERE e.id = ?1)";
        format!(
            "(NOT EXISTS (SELECT 1 FROM nodes WHERE environment_id = ?1 AND NOT {}) \
              OR NOT EXISTS (SELECT 1 FROM roles WHERE environment_id = ?1 AND NOT {}) \
              OR NOT EXISTS (SELECT 1 FROM identities WHERE account_id = {account} AND NOT {}))",
            self.within("name_folded"),
            self.within("name_folded"),
            self.within("searched")
        )
    }
}

//! The hierarchy schema as the JSON text that is stored.

use canopy_domain::{HierarchySchema, NodeType};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

fn texts<'a>(types: impl IntoIterator<Item = &'a NodeType>) -> Value {
    types.into_iter().map(NodeType::as_str).collect()
}

/// The text of a schema.
pub fn write(schema: &HierarchySchema) -> String {
    let allowed = schema.allowed_children().iter();
    let allowed: Map<String, Value> = allowed
        .map(|(parent, kids)| (parent.as_str().to_owned(), texts(kids)))
        .collect();
    let entries = [
        ("node_types", texts(schema.node_types())),
        ("allowed_children", Value::Object(allowed)),
        ("max_depth", Value::from(schema.max_depth())),
        ("root_node_type", Value::from(schema.root_node_type().as_str())),
    ];
    let object: Map<String, Value> = entries
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    Value::Object(object).to_string()
}

/// The schema of a text; `None` where it is none.
pub fn read(text: &str) -> Option<HierarchySchema> {
    let value: Value = serde_json::from_str(text).ok()?;
    let node_type = |value: &Value| NodeType::parse(value.as_str()?).ok();
    let node_types: Option<Vec<NodeType>> = value.get("node_types")?.as_array()?.iter().map(node_type).collect();
    let allowed = value
        .get("allowed_children")?
        .as_object()?
        .iter()
        .map(|(parent, kids)| {
            let kids: Option<BTreeSet<NodeType>> = kids.as_array()?.iter().map(node_type).collect();
            Some((NodeType::parse(parent).ok()?, kids?))
        });
    let allowed: Option<BTreeMap<NodeType, BTreeSet<NodeType>>> = allowed.collect();
    let max_depth = u8::try_from(value.get("max_depth")?.as_u64()?).ok()?;
    let root = node_type(value.get("root_node_type")?)?;
    HierarchySchema::new(node_types?, allowed?, max_depth, root).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_read_back_as_it_was() {
        let t = |text: &str| NodeType::parse(text).unwrap();
        let allowed = BTreeMap::from([(t("b"), BTreeSet::from([t("a"), t("b")])), (t("a"), BTreeSet::new())]);
        let schema = HierarchySchema::new(vec![t("b"), t("a")], allowed, 7, t("b")).unwrap();
        assert_eq!(read(&write(&schema)), Some(schema));
        assert_eq!(
            read(&write(&HierarchySchema::default())),
            Some(HierarchySchema::default())
        );
        for damage in [
            "",
            "{}",
            "[]",
            r#"{"node_types":["b"],"allowed_children":{},"max_depth":0,"root_node_type":"b"}"#,
        ] {
            assert_eq!(read(damage), None, "{damage}");
        }
    }
}

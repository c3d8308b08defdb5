use serde_json::Value;

use super::document;
use crate::ProtocolModel;

fn pantry() -> Value {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/proto");
    let file = format!("{folder}/pantry.proto");
    let model = ProtocolModel::from_protos(&[file.as_str()], &[folder])
        .unwrap()
        .remove(0);
    document(&[model.schema()])
}

#[test]
fn the_paths_of_a_protocol() {
    let document = pantry();
    insta::assert_snapshot!(format!("{:#}", document["paths"]));
}

#[test]
fn the_head_and_what_is_shared() {
    let mut document = pantry();
    document["paths"] = Value::Null;
    document["components"]["schemas"] = Value::Null;
    insta::assert_snapshot!(format!("{document:#}"));
}

#[test]
fn each_reference_leads_somewhere() {
    fn visit(root: &Value, at: &Value) {
        match at {
            Value::Object(map) => {
                if let Some(Value::String(target)) = map.get("$ref") {
                    let found = root.pointer(target.strip_prefix('#').unwrap());
                    assert!(found.is_some(), "{target}");
                }
                map.values().for_each(|value| visit(root, value));
            }
            Value::Array(items) => items.iter().for_each(|value| visit(root, value)),
            _ => {}
        }
    }
    let document = pantry();
    visit(&document, &document);
}

#[test]
fn nothing_at_all_is_a_document_too() {
    let document = document(&[]);
    assert_eq!(document["info"]["title"], "nothing");
    assert!(document["paths"].as_object().unwrap().is_empty());
}

use msip_schema::TypeName;
use serde_json::Value;

use super::message_schema;
use crate::ProtocolModel;

fn pantry() -> ProtocolModel {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/proto");
    let file = format!("{folder}/pantry.proto");
    ProtocolModel::from_protos(&[file.as_str()], &[folder])
        .unwrap()
        .remove(0)
}

fn document(name: &str) -> Value {
    message_schema(pantry().schema(), &TypeName::new(name)).unwrap()
}

#[test]
fn a_message_with_one_of_everything() {
    insta::assert_snapshot!(format!("{:#}", document("pantry.v1.Jar")));
}

#[test]
fn the_types_that_it_reaches_and_no_others() {
    let document = document("pantry.v1.FindReq");
    let definitions: Vec<&String> = document["$defs"].as_object().unwrap().keys().collect();
    assert_eq!(
        definitions,
        [
            "pantry.v1.FindReq",
            "pantry.v1.Jar",
            "pantry.v1.Jar.Lid",
            "pantry.v1.Kind"
        ]
    );
    assert_eq!(document["$ref"], "#/$defs/pantry.v1.FindReq");
    let properties = &document["$defs"]["pantry.v1.FindReq"]["properties"];
    assert_eq!(properties["title"]["deprecated"], true);
    assert_eq!(properties["minSize"]["description"], "The smallest size.");
    assert_eq!(properties["minSize"]["default"], "0");
    assert_eq!(
        properties["isOpen"].get("default"),
        None,
        "its absence says something"
    );
}

#[test]
fn a_message_that_is_not_there_has_none() {
    assert_eq!(
        message_schema(pantry().schema(), &TypeName::new("pantry.v1.Kind")),
        None
    );
    assert_eq!(
        message_schema(pantry().schema(), &TypeName::new("pantry.v1.Nobody")),
        None
    );
}

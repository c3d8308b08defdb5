//! What `msip-codegen` wrote for the schema that the tests of the derives compare theirs with.

#[test]
fn the_generated_file_is_what_codegen_writes_today() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
    msip_codegen::Builder::new()
        .include(format!("{folder}/proto"))
        .checked_in(format!("{folder}/kitchen/generated"))
        .verify()
        .compile(&[format!("{folder}/proto/kitchen.proto")])
        .unwrap_or_else(|error| panic!("{error:?}"));
}

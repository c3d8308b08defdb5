use std::path::Path;

use msip_codegen::Builder;
use tempfile::TempDir;

use super::*;

const PROTOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/proto");

/// Writes the descriptor set of a schema, as a build script does.
fn write(folder: &Path, name: &str, proto: &str, text: &str) {
    let source = tempfile::tempdir().unwrap();
    std::fs::write(source.path().join(proto), text).unwrap();
    Builder::new()
        .include(source.path())
        .without_rust()
        .emit_rerun_if_changed(false)
        .file_descriptor_set_path(folder.join(name))
        .compile(&[proto])
        .unwrap();
}

fn schema(name: &str) -> String {
    std::fs::read_to_string(format!("{PROTOS}/{name}")).unwrap()
}

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "lab.bin", "lab.proto", &schema("lab.proto"));
    write(
        folder.path(),
        "rest.binpb",
        "rest.proto",
        &schema("rest.proto"),
    );
    folder
}

fn packages(registry: &Registry) -> Vec<String> {
    let loaded = registry.current();
    loaded
        .models()
        .iter()
        .map(|model| model.schema().package().to_owned())
        .collect()
}

#[test]
fn the_descriptor_sets_of_a_folder_and_nothing_else() {
    let folder = folder();
    std::fs::write(folder.path().join("README.md"), "no descriptors").unwrap();
    std::fs::write(folder.path().join(".half-written.bin"), "no descriptors").unwrap();
    std::fs::create_dir(folder.path().join("more.bin")).unwrap();
    let registry = Registry::open(folder.path()).unwrap();
    assert_eq!(packages(&registry), ["lab", "rest"]);
    assert!(registry.current().conflicts().is_empty());
    let original =
        crate::ProtocolModel::from_protos(&[format!("{PROTOS}/rest.proto")], &[PROTOS]).unwrap();
    let loaded = registry.current();
    let read = &loaded.models()[1];
    assert_eq!(
        read.schema().fingerprint(),
        original[0].schema().fingerprint()
    );
}

#[test]
fn two_services_that_do_not_share_a_schema_are_told_what_differs() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        "billing.bin",
        "old.proto",
        &schema("rolling/old.proto"),
    );
    write(
        folder.path(),
        "orders.bin",
        "new.proto",
        &schema("rolling/new.proto"),
    );
    write(
        folder.path(),
        "stock.bin",
        "old.proto",
        &schema("rolling/old.proto"),
    );
    let loaded = Registry::open(folder.path()).unwrap().current();
    assert_eq!(loaded.models().len(), 1);
    let [conflict] = loaded.conflicts() else {
        panic!("{:?}", loaded.conflicts());
    };
    assert!(conflict.taken.0.ends_with("billing.bin") && conflict.other.0.ends_with("orders.bin"));
    assert_ne!(conflict.taken.1, conflict.other.1);
    assert!(!conflict.differences.is_empty(), "{conflict}");
    assert!(conflict.to_string().contains("does not fit"), "{conflict}");
}

#[test]
fn a_folder_is_read_again_where_it_has_changed() {
    let folder = folder();
    let registry = Registry::open(folder.path()).unwrap();
    assert!(!registry.reload().unwrap(), "nothing has changed");
    std::fs::remove_file(folder.path().join("lab.bin")).unwrap();
    assert!(registry.reload().unwrap());
    assert_eq!(packages(&registry), ["rest"]);
    let more =
        schema("rest.proto").replace("string room = 2;", "string room = 2; string more_room = 9;");
    let before = registry.current().models()[0].schema().fingerprint();
    write(folder.path(), "rest.binpb", "rest.proto", &more);
    assert!(registry.reload().unwrap());
    assert_ne!(
        registry.current().models()[0].schema().fingerprint(),
        before
    );
}

#[test]
fn a_wrong_file_leaves_what_there_was_and_is_reported_once() {
    let folder = folder();
    let registry = Registry::open(folder.path()).unwrap();
    std::fs::write(folder.path().join("lab.bin"), b"\xff\xff\xff").unwrap();
    let error = registry.reload().unwrap_err();
    assert!(error.to_string().contains("lab.bin"), "{error}");
    assert_eq!(packages(&registry), ["lab", "rest"]);
    assert!(
        !registry.reload().unwrap(),
        "the same wrong file is not reported again"
    );
    assert!(
        Registry::open(folder.path()).is_err(),
        "at the start it is an error"
    );
    assert!(matches!(
        Registry::open(folder.path().join("gone")),
        Err(RegistryError::Io { .. })
    ));
}

//! Agreement of two crates on what neither can check by itself.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use msip_codegen::Builder;
use syn::{ImplItem, Item, ItemImpl, Type, Visibility};

const RUNTIME: &str = "../msip-runtime";
const SESSION: &str = "../msip-session";

/// `MSIP_UPDATE=1` writes the files anew.
#[test]
fn the_wire_holds_what_codegen_makes_of_its_schemas() {
    for (schema, file) in [
        ("hello.proto", "msip.v1.rs"),
        ("broker.proto", "msip.broker.v1.rs"),
    ] {
        check_generated(schema, file);
    }
}

fn check_generated(schema: &str, file: &str) {
    let out = tempfile::tempdir().expect("a folder");
    Builder::new()
        .include(format!("{SESSION}/proto"))
        .messages_only()
        .btree_map(".")
        .skip_debug(".msip.v1.Hello")
        .skip_debug(".msip.v1.Welcome")
        .out_dir(out.path())
        .compile(&[schema])
        .expect("it compiles");
    let generated = fs::read_to_string(out.path().join(file)).expect("it was written");
    // Below the runtime there is no runtime to take prost from.
    let generated = generated.replace("::msip_runtime::prost", "::prost");
    let checked_in = Path::new(SESSION).join("src/wire/generated").join(file);
    if std::env::var_os("MSIP_UPDATE").is_some() {
        fs::write(&checked_in, &generated).expect("it can be written");
    }
    let found = fs::read_to_string(&checked_in).expect("it is checked in");
    assert!(
        found == generated,
        "{} differs from what msip-codegen writes: MSIP_UPDATE=1 cargo test -p msip-tests --test agreement",
        checked_in.display()
    );
}

/// Whose methods a member's method must not be called like.
const HANDLES: [&str; 6] = ["Client", "Peer", "Broadcast", "Room", "With", "Sender"];

#[test]
fn codegen_knows_each_method_that_a_member_could_be_called_like() {
    let mut found = BTreeSet::new();
    let mut handles = BTreeSet::new();
    // The handles of the untyped layer have no generated traits.
    let is_typed = |path: &PathBuf| !path.components().any(|part| part.as_os_str() == "raw");
    let sources = sources(&Path::new(RUNTIME).join("src"));
    for path in sources.into_iter().filter(is_typed) {
        let text = fs::read_to_string(&path).expect("a source file");
        let file = syn::parse_file(&text).expect("Rust");
        for item in file.items {
            let Item::Impl(block) = item else { continue };
            let Some(handle) = handle_of(&block) else {
                continue;
            };
            handles.insert(handle);
            found.extend(public_methods(&block));
        }
    }
    // `With` has none of its own so far.
    for (handle, method) in [
        ("Client", "close"),
        ("Peer", "id"),
        ("Broadcast", "except"),
        ("Room", "join"),
        ("Sender", "flush"),
    ] {
        assert!(handles.contains(handle), "{handle} was not found");
        assert!(found.contains(method), "{method} was not found");
    }
    let unknown: Vec<_> = found
        .iter()
        .filter(|method| !msip_emit::rust::names::RESERVED_METHODS.contains(&method.as_str()))
        .collect();
    assert!(
        unknown.is_empty(),
        "put these into `msip_emit::rust::names::RESERVED_METHODS`, or behind `connection()`: {unknown:?}"
    );
}

/// The handle that a block gives methods of its own.
fn handle_of(block: &ItemImpl) -> Option<String> {
    let (None, Type::Path(path)) = (&block.trait_, &*block.self_ty) else {
        return None;
    };
    let name = path.path.segments.last()?.ident.to_string();
    HANDLES.contains(&name.as_str()).then_some(name)
}

/// The public methods: functions without `self` cannot conflict.
fn public_methods(block: &ItemImpl) -> impl Iterator<Item = String> {
    block.items.iter().filter_map(|item| match item {
        ImplItem::Fn(function)
            if matches!(function.vis, Visibility::Public(_))
                && function.sig.receiver().is_some() =>
        {
            Some(function.sig.ident.to_string())
        }
        _ => None,
    })
}

/// Every `.rs` file below, but what is taken in with `include!`.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

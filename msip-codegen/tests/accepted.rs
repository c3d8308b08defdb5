//! Schemas that are written in rare ways, all of them valid.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use msip_codegen::Builder;
use prost::Message as _;
use prost_reflect::{DescriptorPool, Value};

/// The envelopes of a protocol that sends `Body` one way and nothing back.
const ENVELOPES: &str = "
message ClientToServer { oneof messages { Body body_req = 1; } }
message ServerToClient { oneof messages { Done done_rsp = 1; } }
message Done {}
";

/// Compiles the first of these files, and returns what was written.
fn compile(files: &[(&str, &str)]) -> Result<Written, String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text.replace("ENVELOPES", ENVELOPES)).unwrap();
    }
    let out = tempfile::tempdir().unwrap();
    let set = out.path().join("set.bin");
    let builder = Builder::new()
        .include(folder.path())
        .out_dir(out.path())
        .file_descriptor_set_path(&set)
        .emit_rerun_if_changed(false);
    builder
        .compile(&[files.first().unwrap().0])
        .map_err(|error| error.to_string())?;
    let first = files.first().unwrap().1;
    let package = first.split("package ").nth(1).unwrap();
    let package = package.split(';').next().unwrap();
    let text = |path: &Path| std::fs::read_to_string(path).unwrap();
    Ok(Written {
        set: std::fs::read(set).unwrap(),
        packages: text(&out.path().join(format!("{package}.rs"))),
    })
}

struct Written {
    set: Vec<u8>,
    /// The text of the first file's package.
    packages: String,
}

impl std::fmt::Debug for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("compiled")
    }
}

impl Written {
    fn pool(&self) -> DescriptorPool {
        DescriptorPool::decode(self.set.as_slice()).unwrap()
    }

    /// The value of an option of a field.
    fn option(&self, message: &str, field: &str, option: &str) -> Value {
        let pool = self.pool();
        let message = pool.get_message_by_name(message).unwrap();
        let options = message.get_field_by_name(field).unwrap().options();
        let option = pool.get_extension_by_name(option).unwrap();
        options.get_extension(&option).into_owned()
    }
}

const LEAF: (&str, &str) = (
    "leaf.proto",
    "syntax = \"proto3\";\npackage leaf;\nmessage Leaf { int32 n = 1; }\n",
);

/// A file that passes on others.
fn passing_on(imports: &[&str], package: &str) -> String {
    let imports = imports.iter();
    let imports: String = imports
        .map(|import| format!("import public \"{import}\";\n"))
        .collect();
    format!("syntax = \"proto3\";\npackage {package};\n{imports}")
}

#[test]
fn public_imports_reach_through_chains_and_diamonds() {
    let app = "syntax = \"proto3\";\npackage app;\nimport \"one.proto\";\nENVELOPES\nmessage Body { leaf.Leaf leaf = 1; }\n";
    let chain = [
        ("app.proto", app.to_owned()),
        ("one.proto", passing_on(&["two.proto"], "one")),
        ("two.proto", passing_on(&["three.proto"], "two")),
        ("three.proto", passing_on(&["leaf.proto"], "three")),
        (LEAF.0, LEAF.1.to_owned()),
    ];
    let diamond = [
        ("app.proto", app.to_owned()),
        (
            "one.proto",
            passing_on(&["left.proto", "right.proto"], "one"),
        ),
        ("left.proto", passing_on(&["leaf.proto"], "left")),
        ("right.proto", passing_on(&["leaf.proto"], "right")),
        (LEAF.0, LEAF.1.to_owned()),
    ];
    for files in [chain, diamond] {
        let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
        let written = compile(&files).unwrap();
        // The descriptor names the imports that are written, no others.
        let set = prost_types::FileDescriptorSet::decode(written.set.as_slice()).unwrap();
        let app = set.file.iter().find(|file| file.name() == "app.proto");
        assert_eq!(app.unwrap().dependency, ["one.proto"]);
    }
}

#[test]
fn a_private_import_ends_a_chain_of_public_ones() {
    let app = "syntax = \"proto3\";\npackage app;\nimport \"one.proto\";\nENVELOPES\nmessage Body { leaf.Leaf leaf = 1; }\n";
    let private = "syntax = \"proto3\";\npackage private;\nimport \"leaf.proto\";\nmessage P { leaf.Leaf l = 1; }\n";
    let files = [
        ("app.proto", app),
        ("one.proto", &passing_on(&["private.proto"], "one")),
        ("private.proto", private),
        LEAF,
    ];
    let error = compile(&files).unwrap_err();
    assert!(error.contains("unknown-type"), "{error}");
    assert!(error.contains("add `import \"leaf.proto\";`"), "{error}");
}

#[test]
fn options_of_msip_may_come_through_public_imports() {
    let app = "syntax = \"proto3\";\npackage app;\nimport \"one.proto\";
message ClientToServer { oneof messages { Body body_req = 1 [(msip.timeout_ms) = 5000]; } }
message ServerToClient { oneof messages { Done body_rsp = 1; } }
message Done {}
message Body {}
";
    let files = [
        ("app.proto", app),
        ("one.proto", &passing_on(&["two.proto"], "one")),
        ("two.proto", &passing_on(&["msip/options.proto"], "two")),
    ];
    let written = compile(&files).unwrap();
    let timeout = written.option("app.ClientToServer", "body_req", "msip.timeout_ms");
    assert_eq!(timeout, Value::U32(5_000));
}

#[test]
fn extension_ranges_of_one_number_have_options() {
    let app = "syntax = \"proto3\";\npackage app;\nimport \"old.proto\";\nENVELOPES\nmessage Body { string s = 1 [(old.mark) = \"x\"]; }\n";
    let old = "syntax = \"proto2\";\npackage old;\nimport \"google/protobuf/descriptor.proto\";
extend google.protobuf.FieldOptions { optional string mark = 50010; }
extend google.protobuf.ExtensionRangeOptions { optional string range = 50010; }
message One { extensions 100 [(range) = \"one\"]; }
message Many { extensions 200 to 300, 400 [(range) = \"many\"]; }
";
    let written = compile(&[("app.proto", app), ("old.proto", old)]).unwrap();
    let ranges = |name: &str| {
        let pool = written.pool();
        let message = pool.get_message_by_name(name).unwrap();
        let ranges = message.extension_ranges();
        ranges
            .map(|range| (range.start, range.end))
            .collect::<Vec<_>>()
    };
    assert_eq!(ranges("old.One"), [(100, 101)]);
    assert_eq!(ranges("old.Many"), [(200, 301), (400, 401)]);
}

#[test]
fn floats_may_be_infinite_or_no_number() {
    let app = "syntax = \"proto3\";\npackage app;\nimport \"google/protobuf/descriptor.proto\";
enum Word { zero = 0; inf = 1; }
message Rule { float most = 1; }
extend google.protobuf.FieldOptions {
  double low = 50001; double high = 50002; float none = 50003; Rule rule = 50004; Word word = 50005;
}
ENVELOPES
message Body {
  string a = 1 [(low) = -inf, (app.high) = inf, (none) = nan, (rule).most = inf, (word) = inf];
  string b = 2 [(low) = -nan, (rule) = { most: -inf }];
}
";
    let written = compile(&[("app.proto", app)]).unwrap();
    let option = |field: &str, name: &str| written.option("app.Body", field, name);
    assert_eq!(option("a", "app.low"), Value::F64(f64::NEG_INFINITY));
    assert_eq!(option("a", "app.high"), Value::F64(f64::INFINITY));
    assert!(option("a", "app.none").as_f32().unwrap().is_nan());
    assert_eq!(option("a", "app.word"), Value::EnumNumber(1));
    assert!(option("b", "app.low").as_f64().unwrap().is_nan());
    for (field, most) in [("a", f32::INFINITY), ("b", f32::NEG_INFINITY)] {
        let rule = option(field, "app.rule");
        let rule = rule.as_message().unwrap();
        assert_eq!(*rule.get_field_by_name("most").unwrap(), Value::F32(most));
    }
}

#[test]
fn characters_may_be_written_as_surrogate_pairs() {
    let app = "syntax = \"proto3\";\npackage app;\nimport \"google/protobuf/descriptor.proto\";
extend google.protobuf.FieldOptions { string mark = 50001; }
ENVELOPES
message Body { string a = 1 [(mark) = \"a\\ud83d\\ude00b\"]; }
";
    let written = compile(&[("app.proto", app)]).unwrap();
    let mark = written.option("app.Body", "a", "app.mark");
    assert_eq!(mark.as_str(), Some("a\u{1f600}b"));
}

#[test]
fn positions_behind_a_rare_spelling_are_those_of_the_text() {
    let app = "syntax = \"proto3\";\npackage app;\nENVELOPES\nmessage Body { string a = 1 [(mark) = \"\\ud83d\\ude00\"]; Nowhere b = 2; }\n";
    let error = compile(&[("app.proto", app)]).unwrap_err();
    let column = app.lines().last().unwrap().find("Nowhere").unwrap() + 1;
    assert!(error.contains(&format!(":{column}\n")), "{column}: {error}");
}

#[test]
fn the_files_that_come_with_protoc_are_found() {
    for name in [
        "any",
        "api",
        "compiler/plugin",
        "descriptor",
        "duration",
        "empty",
        "field_mask",
        "source_context",
        "struct",
        "timestamp",
        "type",
        "wrappers",
    ] {
        let app = format!(
            "syntax = \"proto3\";\npackage app;\nimport \"google/protobuf/{name}.proto\";\nENVELOPES\nmessage Body {{}}\n"
        );
        compile(&[("app.proto", &app)]).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let app = "syntax = \"proto3\";\npackage app;\nimport \"google/protobuf/compiler/plugin.proto\";\nENVELOPES\nmessage Body { google.protobuf.compiler.CodeGeneratorRequest a = 1; }\n";
    let written = compile(&[("app.proto", app)]).unwrap();
    let path = "::msip_runtime::prost_types::compiler::CodeGeneratorRequest";
    assert!(written.packages.contains(path), "{}", written.packages);
}

/// Checks a file of Rust: a module has each name once, and doc comments have no blank line.
fn assert_sound(text: &str) {
    fn modules(items: &[syn::Item]) {
        let mut seen = std::collections::BTreeSet::new();
        for item in items {
            if let syn::Item::Mod(module) = item {
                assert!(
                    seen.insert(&module.ident),
                    "`{}` is there twice",
                    module.ident
                );
                modules(module.content.as_ref().map_or(&[], |(_, items)| items));
            }
        }
    }
    modules(&syn::parse_file(text).unwrap().items);
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    for pair in lines.windows(2) {
        let is_broken = pair[0].starts_with("///") && pair[1].is_empty();
        assert!(!is_broken, "an empty line follows {:?}", pair[0]);
    }
}

#[test]
fn a_message_and_a_package_share_a_module() {
    let far = "syntax = \"proto3\";\npackage shop.body;\nmessage Far { int32 n = 1; }\n";
    for (name, body) in [
        (
            "message",
            "message In { string s = 1; } In in = 1; shop.body.Far far = 2;",
        ),
        (
            "enum",
            "enum In { A = 0; } In in = 1; shop.body.Far far = 2;",
        ),
        ("oneof", "oneof in { string s = 1; shop.body.Far far = 2; }"),
        ("not used", "oneof in { string s = 1; }"),
    ] {
        let shop = format!(
            "syntax = \"proto3\";\npackage shop;\nimport \"far.proto\";\nENVELOPES\nmessage Body {{ {body} }}\n"
        );
        let written = compile(&[("shop.proto", &shop), ("far.proto", far)]).unwrap();
        assert!(written.packages.contains("pub mod body {"), "{name}");
        assert_sound(&written.packages);
    }
    // Asked for both, though neither needs the other.
    let shop = "syntax = \"proto3\";\npackage shop;\nENVELOPES\nmessage Body { oneof in { string s = 1; } }\n";
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("shop.proto"),
        shop.replace("ENVELOPES", ENVELOPES),
    )
    .unwrap();
    std::fs::write(folder.path().join("far.proto"), far).unwrap();
    let out = tempfile::tempdir().unwrap();
    let builder = Builder::new()
        .include(folder.path())
        .out_dir(out.path())
        .messages_only()
        .emit_rerun_if_changed(false);
    builder.compile(&["shop.proto", "far.proto"]).unwrap();
    let all = std::fs::read_to_string(out.path().join("packages.rs")).unwrap();
    assert!(!all.contains("shop.rs"), "{all}");
    assert_sound(&all);
}

#[test]
fn types_of_a_message_and_of_a_package_do_not_collide() {
    let far = "syntax = \"proto3\";\npackage shop.body;\nmessage In { int32 n = 1; }\n";
    let shop = "syntax = \"proto3\";\npackage shop;\nimport \"far.proto\";\nENVELOPES\nmessage Body { message In { string s = 1; } In in = 1; }\n";
    let written = compile(&[("shop.proto", shop), ("far.proto", far)]).unwrap();
    assert!(written.packages.contains("pub struct In2 {"));
    assert_sound(&written.packages);
}

#[test]
fn doc_comments_of_code_have_no_blank_line() {
    let app = "syntax = \"proto3\";\npackage app;
message ClientToServer { oneof messages { 
  // Sends.
  //
  // ```
  // {\"a\": 1}
  // ```
  Body body_req = 1;
  // Sends.
  //
  //     {\"a\": 1};
  //
  // After.
  Body other_ind = 2;
} }
message ServerToClient { oneof messages { Done body_rsp = 1; } }
message Done {}
// Sends;
//
// ```
// {\"a\": 1}
// ```
message Body { string a = 1; }
";
    let written = compile(&[("app.proto", app)]).unwrap();
    assert!(written.packages.contains("/// {\"a\": 1}"));
    assert_sound(&written.packages);
}

#[test]
fn imported_names_that_collide_are_renamed() {
    let third = "syntax = \"proto3\";\npackage third;
enum E { E_ZERO = 0; }
enum EnumOf { EO_ZERO = 0; }
message READING { int32 n = 1; message Inner { int32 n = 1; } }
message Reading { E e = 1; E set_e = 2; READING.Inner inner = 3; int32 fooBar = 4; int32 foo_bar_2 = 5; }
message Both { READING a = 1; Reading b = 2; map<string, READING> c = 3; }
";
    let app = "syntax = \"proto3\";\npackage app;\nimport \"third.proto\";
message ClientToServer { oneof messages { third.READING body_req = 1; third.Reading other_ind = 2; } }
message ServerToClient { oneof messages { third.Both body_rsp = 1; } }
";
    let written = compile(&[("app.proto", app), ("third.proto", third)]).unwrap();
    assert_sound(&written.packages);
    for expected in [
        "pub struct Reading2 {",
        "pub set_e_2: i32",
        "pub b: ::core::option::Option<Reading2>",
        "pub a: ::core::option::Option<Reading>",
        "Option<reading::Inner>",
        "OtherInd(super::third::Reading2)",
        "BodyReq(super::third::Reading)",
    ] {
        assert!(
            written.packages.contains(expected),
            "no `{expected}` in {}",
            written.packages
        );
    }
    // The descriptor keeps the names of the schema.
    let pool = written.pool();
    assert!(pool.get_message_by_name("third.Reading").is_some());
    // In a file of the user's own they are errors.
    let own = third.replace(
        "package third;",
        "package third;\nENVELOPES\nmessage Body { Both both = 1; }",
    );
    let error = compile(&[("third.proto", &own)]).unwrap_err();
    assert!(error.contains("name-collision"), "{error}");
}

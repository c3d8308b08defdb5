//! An emitter of the user's, together with Rust and without it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use msip_codegen::{Builder, Code, CompileError, Diagnostic};
use msip_emit::plan::{Plan, Shape};
use msip_emit::write::{Case, Escape, Keywords, NameKind, NameTable, Writer};
use msip_emit::{Compilation, EmitError, Emitter, OutputFile};
use msip_schema::{Direction, Outline, TypeDef};

const SCHEMA: &str = r#"syntax = "proto3";
// A chat.
package chat.v1;
import "msip/options.proto";
import "shared.proto";

message ClientToServer {
  oneof messages {
    // Enters.
    EnterReq enter_req = 1;
    MoveInd move_ind = 2 [deprecated = true];
    LeaveReq leave_req = 3;
  }
}
message ServerToClient {
  oneof messages {
    EnterRsp enter_rsp = 1;
    LeaveRsp leave_rsp = 2 [(msip.compress) = false];
  }
}
message EnterReq {
  option deprecated = true;
  string user = 1 [deprecated = true];
  // By which way.
  oneof way { string door = 2; string window = 3 [deprecated = true]; }
  optional int32 age = 4;
  Mood mood = 5;
  enum Mood { option deprecated = true; FAIR = 0; MERRY = 1 [deprecated = true]; }
}
message EnterRsp {}
message MoveInd { shared.Point to = 1; }
message LeaveReq {}
message LeaveRsp {}
service Chat { rpc Leave(LeaveReq) returns (LeaveRsp) { option deprecated = true; } }
"#;

const SHARED: &str =
    "syntax = \"proto3\";\npackage shared;\nmessage Point { int32 x = 1; message In {} }\n";

/// Lists the members and types of a schema.
#[derive(Debug)]
struct Listing;

const NAMES: NameTable = NameTable {
    keywords: &[Keywords {
        words: &["ENTER_REQ"],
        escape: Escape::Suffix("!"),
    }],
};
const MEMBERS: NameKind = NameKind::new(Case::UpperSnake);

impl Emitter for Listing {
    fn language(&self) -> &str {
        "listing"
    }

    fn check(&self, outline: &Outline<'_>, out: &mut Vec<Diagnostic>) {
        for member in outline.members(Direction::ClientToServer) {
            if member.name.value.starts_with("unspeakable") {
                let text = format!("a listing cannot say `{}`", member.name.value);
                out.push(Diagnostic::new(Code::RESERVED_NAME, member.name.span, text));
            }
        }
    }

    fn emit(&self, compilation: &Compilation) -> Result<Vec<OutputFile>, EmitError> {
        let mut files = Vec::new();
        for protocol in &compilation.protocols {
            let schema = &protocol.schema;
            if schema.package() == "none" {
                return Err(EmitError::new("a listing needs more than nothing"));
            }
            let plan = Plan::new(schema);
            let mut out = Writer::new("  ");
            for direction in [Direction::ClientToServer, Direction::ServerToClient] {
                out.line(direction.envelope_name());
                out.indent();
                for member in &plan.envelope(direction).members {
                    let name = NAMES.identifier(&MEMBERS, member.name);
                    let answer = match &member.shape {
                        Shape::Call(call) => format!(" -> {}", call.answer.name),
                        Shape::OneWay | Shape::Acknowledged | Shape::Answer => String::new(),
                    };
                    out.line(format_args!(
                        "{name}{answer}{} {:?}",
                        mark(member.deprecated),
                        member.doc
                    ));
                }
                out.dedent();
            }
            for (name, ty) in schema.types() {
                let deprecated = match ty {
                    TypeDef::Message(message) => message.deprecated,
                    TypeDef::Enum(ty) => ty.deprecated,
                };
                out.line(format_args!(
                    "{name} in {}{}",
                    ty.package(),
                    mark(deprecated)
                ));
                out.indent();
                match ty {
                    TypeDef::Message(message) => {
                        for field in &message.fields {
                            out.line(format_args!("{}{}", field.name, mark(field.deprecated)));
                        }
                        for oneof in &message.oneofs {
                            out.line(format_args!("oneof {} {:?}", oneof.name, oneof.doc));
                        }
                    }
                    TypeDef::Enum(ty) => {
                        for value in &ty.values {
                            out.line(format_args!("{}{}", value.name, mark(value.deprecated)));
                        }
                    }
                }
                out.dedent();
            }
            let path = format!("{}/listing.txt", schema.package());
            files.push(OutputFile::new(path, out.finish()));
        }
        Ok(files)
    }
}

fn mark(deprecated: bool) -> &'static str {
    if deprecated { " (deprecated)" } else { "" }
}

/// Compiles these files, in a folder of their own, into `out` next to them.
fn compile(
    folder: &Path,
    files: &[(&str, &str)],
    set: impl FnOnce(Builder) -> Builder,
) -> Result<(), CompileError> {
    for (name, text) in files {
        std::fs::write(folder.join(name), text).unwrap();
    }
    let builder = Builder::new()
        .include(folder)
        .out_dir(folder.join("out"))
        .emit_rerun_if_changed(false);
    set(builder).compile(&[folder.join(files.first().unwrap().0)])
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn another_language_is_written_beside_rust() {
    let folder = tempfile::tempdir().unwrap();
    let files = [("chat.proto", SCHEMA), ("shared.proto", SHARED)];
    compile(folder.path(), &files, |builder| builder.emitter(Listing)).unwrap();
    let out = folder.path().join("out");
    assert_eq!(
        names(&out),
        [
            "chat.v1",
            "chat.v1.descriptors.bin",
            "chat.v1.rs",
            "packages.rs"
        ]
    );
    let listing = std::fs::read_to_string(out.join("chat.v1/listing.txt")).unwrap();
    insta::assert_snapshot!("listing", listing);
}

#[test]
fn another_language_is_written_without_rust_into_its_own_folder() {
    let folder = tempfile::tempdir().unwrap();
    let files = [("chat.proto", SCHEMA), ("shared.proto", SHARED)];
    let own = folder.path().join("listings");
    compile(folder.path(), &files, |builder| {
        builder.without_rust().emitter_into(&own, Listing)
    })
    .unwrap();
    assert_eq!(names(&folder.path().join("out")), [""; 0]);
    assert_eq!(names(&own), ["chat.v1"]);
}

#[test]
fn rules_of_all_languages_are_reported_together() {
    let text = "syntax = \"proto3\";
package chat;
message ClientToServer { oneof messages { A unspeakable_ind = 1; A go = 2; A try_go = 3; A big = 70000; } }
message ServerToClient { oneof messages { A a = 1; } }
message A {}
";
    let reported = |set: fn(Builder) -> Builder| {
        let folder = tempfile::tempdir().unwrap();
        let error = compile(folder.path(), &[("chat.proto", text)], set).unwrap_err();
        assert_eq!(names(folder.path()), ["chat.proto"], "nothing is written");
        let codes = error.diagnostics().iter().map(|mistake| mistake.code);
        codes.collect::<Vec<_>>()
    };
    let (unspeakable, collision, number) = (
        Code::RESERVED_NAME,
        Code::NAME_COLLISION,
        Code::NUMBER_OUT_OF_RANGE,
    );
    assert_eq!(reported(|builder| builder), [collision, number]);
    assert_eq!(
        reported(|builder| builder.emitter(Listing)),
        [unspeakable, collision, number]
    );
    assert_eq!(
        reported(|builder| builder.emitter(Listing).without_rust()),
        [unspeakable, number]
    );
}

#[test]
fn nothing_is_written_if_one_language_fails() {
    let text = "syntax = \"proto3\";
package none;
message ClientToServer { oneof messages { A a = 1; } }
message ServerToClient { oneof messages { A a = 1; } }
message A {}
";
    let folder = tempfile::tempdir().unwrap();
    let error = compile(folder.path(), &[("none.proto", text)], |builder| {
        builder.emitter(Listing)
    })
    .unwrap_err();
    assert_eq!(error.to_string(), "a listing needs more than nothing");
    assert_eq!(names(folder.path()), ["none.proto"]);
}

#[test]
fn unchanged_files_are_left_alone_in_every_language() {
    let folder = tempfile::tempdir().unwrap();
    let files = [("chat.proto", SCHEMA), ("shared.proto", SHARED)];
    let run = || compile(folder.path(), &files, |builder| builder.emitter(Listing)).unwrap();
    let modified = |name: &str| {
        let path = folder.path().join("out").join(name);
        std::fs::metadata(path).unwrap().modified().unwrap()
    };
    run();
    // A file that is replaced has another time.
    let before = ["chat.v1.rs", "chat.v1/listing.txt"].map(modified);
    std::fs::remove_file(folder.path().join("out/packages.rs")).unwrap();
    run();
    assert_eq!(["chat.v1.rs", "chat.v1/listing.txt"].map(modified), before);
    let verified = compile(folder.path(), &files, |builder| {
        builder.emitter(Listing).verify()
    });
    assert!(verified.is_ok());
    std::fs::write(folder.path().join("out/chat.v1/listing.txt"), "other").unwrap();
    let error = compile(folder.path(), &files, |builder| {
        builder.emitter(Listing).verify()
    })
    .unwrap_err();
    assert!(error.to_string().contains("listing.txt"), "{error}");
}

#[test]
fn two_languages_cannot_write_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let files = [("chat.proto", SCHEMA), ("shared.proto", SHARED)];
    let error = compile(folder.path(), &files, |builder| {
        builder.emitter(Listing).emitter(Listing)
    })
    .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("write the file `chat.v1/listing.txt`"),
        "{error}"
    );
}

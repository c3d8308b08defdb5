//! Shapes of schemas that grow in one direction.

use std::fmt::Write as _;

use super::measure::Input;

/// The files of a shape at a size.
pub(crate) type Shape = fn(usize) -> Input;

/// Each with its name and the size at which it is measured first.
pub(crate) const ALL: &[(&str, usize, Shape)] = &[
    ("public imports in a chain", 25, public_chain),
    ("public imports of all", 10, public_all),
    ("imports in a chain", 100, chain),
    ("imports in a circle of all", 15, circles),
    ("imports of one file", 200, many_imports),
    ("imports that are missing", 200, missing_imports),
    ("imports that are repeated", 500, repeated_imports),
    ("protocols", 5, protocols),
    ("unknown types", 500, unknown_types),
    ("misspelt types", 100, misspelt_types),
    ("misspelt members", 100, misspelt_members),
    ("misspelt names of responses", 120, misspelt_responses),
    ("numbers used twice", 500, duplicate_numbers),
    ("numbers of members used twice", 300, duplicate_members),
    ("numbers of members out of range", 300, members_out_of_range),
    ("names used twice", 500, duplicate_names),
    ("syntax errors", 2_000, syntax_errors),
    ("empty oneofs", 300, empty_oneofs),
    ("empty messages", 300, empty_messages),
    ("messages in a chain", 300, message_chain),
    ("fields", 500, fields),
    ("optional fields", 500, optional_fields),
    ("maps", 300, maps),
    ("oneofs", 300, oneofs),
    ("members of a oneof", 500, oneof_members),
    ("values of an enum", 500, values),
    ("aliases of a value", 500, aliases),
    ("enums", 100, enums),
    ("reserved numbers", 240, reserved_numbers),
    ("reserved numbers of an enum", 240, reserved_values),
    ("reserved names", 500, reserved_names),
    ("reserved numbers beside fields", 240, reserved_beside),
    ("reserved names beside values", 240, reserved_beside_values),
    ("overlapping reserved numbers", 240, overlapping),
    ("extension ranges", 240, extension_ranges),
    ("extensions", 300, extensions),
    ("options of a field", 300, options),
    ("options that are set twice", 300, repeated_options),
    ("options without a declaration", 300, undeclared_options),
    ("options that are misspelt", 300, misspelt_options),
    ("brackets in a statement", 3_000, brackets),
    ("escapes", 300, escapes),
    ("infinities", 300, infinities),
    ("the word extend", 4_000, extend_words),
    ("members", 30, members),
    ("calls", 30, calls),
    ("pairs in one direction", 300, pairs),
    ("methods", 30, methods),
    ("methods of one message", 40, methods_of_one),
    ("methods of no member", 60, methods_of_none),
    ("states with keys", 30, keys),
    ("comments", 300, comments),
    ("a comment over many members", 15, shared_comment),
    ("a comment of block ends", 1_500, block_ends),
    ("a comment of markdown", 1_500, markdown),
    ("a comment of one line", 3_000, long_line),
    ("long identifiers", 600, long_identifiers),
    ("a long line of mistakes", 500, one_line),
    ("nested messages", 25, nested),
    ("names that differ in case", 300, cases),
];

const HEAD: &str = "syntax = \"proto3\";\npackage p;\n";

fn one(text: String, messages_only: bool) -> Input {
    Input {
        files: vec![("a.proto".to_owned(), text)],
        inputs: vec!["a.proto".to_owned()],
        messages_only,
    }
}

fn messages(body: impl AsRef<str>) -> Input {
    one(format!("{HEAD}{}", body.as_ref()), true)
}

fn each(n: usize, line: impl Fn(usize) -> String) -> String {
    (0..n).map(|i| line(i) + "\n").collect()
}

/// A protocol with these members of the client, those of the server, and these further declarations.
fn protocol(client: &str, server: &str, rest: &str) -> Input {
    let text = format!(
        "{HEAD}import \"msip/options.proto\";
message ClientToServer {{ oneof messages {{ {client} }} }}
message ServerToClient {{ oneof messages {{ {server} }} }}
message M {{ string id = 1; }}
{rest}"
    );
    one(text, false)
}

fn files(n: usize, inputs: Vec<usize>, text: impl Fn(usize) -> String) -> Input {
    let name = |i: usize| format!("f{i}.proto");
    Input {
        files: (0..n).map(|i| (name(i), text(i))).collect(),
        inputs: inputs.into_iter().map(name).collect(),
        messages_only: true,
    }
}

/// Each file imports the two before it publicly.
fn public_chain(n: usize) -> Input {
    files(n, vec![n - 1], |i| {
        let imports = (i.saturating_sub(2)..i).map(|j| format!("import public \"f{j}.proto\";\n"));
        let imports: String = imports.collect();
        let first = if i > 0 { "T0 first = 1;" } else { "" };
        format!("syntax = \"proto3\";\npackage p;\n{imports}message T{i} {{ {first} }}\n")
    })
}

fn public_all(n: usize) -> Input {
    // The number of imports is what grows four times.
    let n = (n as f64).sqrt() as usize * 8;
    files(n, vec![n - 1], |i| {
        let imports = (0..i).map(|j| format!("import public \"f{j}.proto\";\n"));
        let imports: String = imports.collect();
        format!("syntax = \"proto3\";\npackage p;\n{imports}message T{i} {{ }}\n")
    })
}

fn chain(n: usize) -> Input {
    files(n, vec![n - 1], |i| {
        let import = if i > 0 {
            format!("import \"f{}.proto\";", i - 1)
        } else {
            String::new()
        };
        format!("syntax = \"proto3\";\npackage p;\n{import}\nmessage T{i} {{ }}\n")
    })
}

fn circles(n: usize) -> Input {
    let n = (n as f64).sqrt() as usize * 8;
    files(n, vec![n - 1], |i| {
        let imports = (0..n).map(|j| format!("import \"f{j}.proto\";\n"));
        let imports: String = imports.collect();
        format!("syntax = \"proto3\";\npackage p;\n{imports}message T{i} {{ }}\n")
    })
}

fn many_imports(n: usize) -> Input {
    files(n + 1, vec![n], |i| {
        if i < n {
            return format!("syntax = \"proto3\";\npackage p;\nmessage T{i} {{ }}\n");
        }
        let imports = each(n, |j| format!("import \"f{j}.proto\";"));
        let fields = each(n, |j| format!("T{j} a{j} = {};", j + 1));
        format!("syntax = \"proto3\";\npackage p;\n{imports}message All {{ {fields} }}\n")
    })
}

fn missing_imports(n: usize) -> Input {
    one(
        format!(
            "syntax = \"proto3\";\npackage p;\n{}",
            each(n, |i| format!("import \"none{i}.proto\";"))
        ),
        true,
    )
}

fn repeated_imports(n: usize) -> Input {
    one(
        format!(
            "syntax = \"proto3\";\npackage p;\n{}",
            "import \"msip/options.proto\";\n".repeat(n)
        ),
        true,
    )
}

/// Each in a file of its own, in one package, all of them inputs.
fn protocols(n: usize) -> Input {
    let mut input = files(n, (0..n).collect(), |i| {
        format!(
            "syntax = \"proto3\";\npackage p{i};
message ClientToServer {{ oneof messages {{ M a = 1; }} }}
message ServerToClient {{ oneof messages {{ M a = 1; }} }}
message M {{ string id = 1; }}\n"
        )
    });
    input.messages_only = false;
    input
}

fn unknown_types(n: usize) -> Input {
    messages(format!(
        "message A {{ {} }}",
        each(n, |i| format!("Zq{i}xw a{i} = {};", i + 1))
    ))
}

fn misspelt_types(n: usize) -> Input {
    let types = each(n, |i| format!("message Vehicle{i}Position {{}}"));
    let fields = each(n, |i| format!("Vehicle{i}Positoin a{i} = {};", i + 1));
    messages(format!("{types}message A {{ {fields} }}"))
}

fn misspelt_members(n: usize) -> Input {
    let types = each(n, |i| format!("message Vehicle{i}Position {{}}"));
    let members = each(n, |i| format!("Vehicle{i}Positoin a{i} = {};", i + 1));
    protocol(&members, "M a = 1;", &types)
}

fn misspelt_responses(n: usize) -> Input {
    let client = each(n, |i| {
        format!(
            "M vehicle{i} = {} [(msip.response) = \"positoin{i}\"];",
            i + 1
        )
    });
    let server = each(n, |i| format!("M position{i} = {};", i + 1));
    protocol(&client, &server, "")
}

fn duplicate_numbers(n: usize) -> Input {
    messages(format!(
        "message A {{ {} }}",
        each(n, |i| format!("int32 a{i} = 1;"))
    ))
}

fn duplicate_members(n: usize) -> Input {
    protocol(&each(n, |i| format!("M a{i} = 1;")), "M a = 1;", "")
}

fn members_out_of_range(n: usize) -> Input {
    protocol(
        &each(n, |i| format!("M a{i} = {};", 70_000 + i)),
        "M a = 1;",
        "",
    )
}

fn duplicate_names(n: usize) -> Input {
    messages(format!(
        "message A {{ {} }}",
        each(n, |i| format!("int32 a = {};", i + 1))
    ))
}

fn syntax_errors(n: usize) -> Input {
    messages(format!(
        "message A {{ {} }}",
        each(n, |i| format!("int32 a{i} = ;"))
    ))
}

fn empty_oneofs(n: usize) -> Input {
    messages(format!(
        "message A {{ {} }}",
        each(n, |i| format!("oneof a{i} {{}}"))
    ))
}

fn empty_messages(n: usize) -> Input {
    messages(each(n, |i| format!("message A{i} {{}}")))
}

fn message_chain(n: usize) -> Input {
    messages(each(n, |i| {
        format!("message A{i} {{ repeated A{} next = 1; }}", (i + 1) % n)
    }))
}

fn fields(n: usize) -> Input {
    messages(format!(
        "message A {{ {} }}",
        each(n, |i| format!("int32 a{i} = {};", i + 1))
    ))
}

fn optional_fields(n: usize) -> Input {
    messages(format!(
        "message A {{ {} }}",
        each(n, |i| format!("optional int32 a{i} = {};", i + 1))
    ))
}

fn maps(n: usize) -> Input {
    messages(format!(
        "message A {{ {} }}",
        each(n, |i| format!("map<string, int32> a{i} = {};", i + 1))
    ))
}

fn oneofs(n: usize) -> Input {
    let oneofs = each(n, |i| format!("oneof o{i} {{ int32 a{i} = {}; }}", i + 1));
    messages(format!("message A {{ {oneofs} }}"))
}

fn oneof_members(n: usize) -> Input {
    let members = each(n, |i| format!("int32 a{i} = {};", i + 1));
    messages(format!("message A {{ oneof o {{ {members} }} }}"))
}

fn values(n: usize) -> Input {
    messages(format!(
        "enum E {{ {} }}",
        each(n, |i| format!("V{i}X = {i};"))
    ))
}

fn aliases(n: usize) -> Input {
    messages(format!(
        "enum E {{ option allow_alias = true; {} }}",
        each(n, |i| format!("V{i}X = 0;"))
    ))
}

fn enums(n: usize) -> Input {
    messages(each(n, |i| format!("enum E{i} {{ E{i}_NONE = 0; }}")))
}

fn reserved_numbers(n: usize) -> Input {
    messages(format!(
        "message A {{ {} }}",
        each(n, |i| format!("reserved {};", 2 * i + 1))
    ))
}

fn reserved_values(n: usize) -> Input {
    let reserved = each(n, |i| format!("reserved {};", i + 1));
    messages(format!("enum E {{ NONE = 0; {reserved} }}"))
}

fn reserved_names(n: usize) -> Input {
    messages(format!(
        "message A {{ {} }}",
        each(n, |i| format!("reserved \"a{i}\";"))
    ))
}

fn reserved_beside(n: usize) -> Input {
    let lines = each(n, |i| {
        format!(
            "reserved {}; reserved \"b{i}\"; int32 a{i} = {};",
            2 * i + 1,
            2 * i + 2
        )
    });
    messages(format!("message A {{ {lines} }}"))
}

fn reserved_beside_values(n: usize) -> Input {
    let lines = each(n, |i| {
        format!(
            "reserved {}; reserved \"B{i}\"; A{i}X = {};",
            2 * i + 1,
            2 * i + 2
        )
    });
    messages(format!("enum E {{ NONE = 0; {lines} }}"))
}

fn overlapping(n: usize) -> Input {
    messages(format!(
        "message A {{ {} }}",
        each(n, |i| format!("reserved {} to {};", i + 1, i + 3))
    ))
}

fn extension_ranges(n: usize) -> Input {
    let ranges = each(n, |i| format!("extensions {};", 2 * i + 1));
    Input {
        files: vec![
            (
                "b.proto".to_owned(),
                format!("syntax = \"proto2\";\npackage q;\nmessage A {{ {ranges} }}\n"),
            ),
            ("a.proto".to_owned(), format!("{HEAD}import \"b.proto\";\n")),
        ],
        inputs: vec!["a.proto".to_owned()],
        messages_only: true,
    }
}

fn extensions(n: usize) -> Input {
    let fields = each(n, |i| format!("string a{i} = {};", 50_000 + i));
    let uses = each(n, |i| {
        format!("string a{i} = {} [(p.a{i}) = \"x\"];", i + 1)
    });
    messages(format!(
        "import \"google/protobuf/descriptor.proto\";
extend google.protobuf.FieldOptions {{ {fields} }}
message A {{ {uses} }}"
    ))
}

fn options(n: usize) -> Input {
    let fields = each(n, |i| format!("string a{i} = {};", 50_000 + i));
    let uses: Vec<String> = (0..n).map(|i| format!("(p.a{i}) = \"x\"")).collect();
    messages(format!(
        "import \"google/protobuf/descriptor.proto\";
extend google.protobuf.FieldOptions {{ {fields} }}
message A {{ string a = 1 [{}]; }}",
        uses.join(",\n")
    ))
}

fn repeated_options(n: usize) -> Input {
    let options = vec!["(msip.urgent) = true"; n].join(",\n");
    protocol(&format!("M a = 1 [{options}];"), "M a = 1;", "")
}

fn undeclared_options(n: usize) -> Input {
    let fields = each(n, |i| format!("string a{i} = {} [(q.b{i}) = 1];", i + 1));
    messages(format!("message A {{ {fields} }}"))
}

fn misspelt_options(n: usize) -> Input {
    let members = each(n, |i| format!("M a{i} = {} [(msip.urgnet) = true];", i + 1));
    protocol(&members, "M a = 1;", "")
}

fn brackets(n: usize) -> Input {
    messages(format!(
        "// extensions\nmessage A {{ int32 a = 1 {}; }}",
        "[]\n".repeat(n)
    ))
}

fn escapes(n: usize) -> Input {
    let fields = each(n, |i| {
        format!(
            "string a{i} = {} [json_name = \"{i}\\ud83d\\ude00\"];",
            i + 1
        )
    });
    messages(format!("message A {{ {fields} }}"))
}

fn infinities(n: usize) -> Input {
    let fields = each(n, |i| format!("double a{i} = {} [(p.d) = -inf];", i + 1));
    messages(format!(
        "import \"google/protobuf/descriptor.proto\";
extend google.protobuf.FieldOptions {{ double d = 50000; }}
message A {{ {fields} }}"
    ))
}

fn extend_words(n: usize) -> Input {
    messages(format!("option ({}) = 1;", vec!["extend"; n].join(".")))
}

fn members(n: usize) -> Input {
    let members = each(n, |i| format!("M a{i} = {};", i + 1));
    protocol(&members, "M a = 1;", "")
}

fn calls(n: usize) -> Input {
    let client = each(n, |i| format!("M a{i}_req = {};", i + 1));
    let server = each(n, |i| format!("M a{i}_rsp = {};", i + 1));
    protocol(&client, &server, "")
}

fn pairs(n: usize) -> Input {
    let client = each(n, |i| {
        format!("M a{i}_req = {}; M a{i}_rsp = {};", 2 * i + 1, 2 * i + 2)
    });
    protocol(&client, "M a = 1;", "")
}

fn methods(n: usize) -> Input {
    let client = each(n, |i| format!("A{i} a{i} = {};", i + 1));
    let server = each(n, |i| format!("B{i} b{i} = {};", i + 1));
    let types = each(n, |i| format!("message A{i} {{}} message B{i} {{}}"));
    let methods = each(n, |i| format!("rpc C{i} (A{i}) returns (B{i});"));
    protocol(
        &client,
        &server,
        &format!("{types}service S {{ {methods} }}"),
    )
}

fn methods_of_one(n: usize) -> Input {
    let client = each(n, |i| format!("M a{i} = {};", i + 1));
    let server = each(n, |i| format!("M b{i} = {};", i + 1));
    let methods = each(n, |i| format!("rpc C{i} (M) returns (M);"));
    protocol(&client, &server, &format!("service S {{ {methods} }}"))
}

fn methods_of_none(n: usize) -> Input {
    let client = each(n, |i| format!("A{i}Position a{i} = {};", i + 1));
    let types = each(n, |i| {
        format!("message A{i}Position {{}} message A{i}Positoin {{}}")
    });
    let methods = each(n, |i| format!("rpc C{i} (A{i}Positoin) returns (M);"));
    protocol(
        &client,
        "M a = 1;",
        &format!("{types}service S {{ {methods} }}"),
    )
}

fn keys(n: usize) -> Input {
    let fields = each(n, |i| format!("string k{i} = {};", i + 1));
    let client = each(n, |i| {
        format!(
            "K a{i} = {} [(msip.kind) = STATE, (msip.key) = \"k{i}\"];",
            i + 1
        )
    });
    protocol(&client, "M a = 1;", &format!("message K {{ {fields} }}"))
}

fn comments(n: usize) -> Input {
    let fields = each(n, |i| {
        format!("// The `a{i}` of [it].\nint32 a{i} = {};", i + 1)
    });
    messages(format!("message A {{ {fields} }}"))
}

/// Each member without a comment has that of its message.
fn shared_comment(n: usize) -> Input {
    let client = each(n, |i| format!("K a{i} = {};", i + 1));
    let comment = each(n * 10, |i| format!("// Line {i} of a comment."));
    protocol(&client, "M a = 1;", &format!("{comment}message K {{}}"))
}

fn block_ends(n: usize) -> Input {
    let comment = format!("// {}", "*/ #![x] \"\\ ".repeat(n));
    messages(format!("{comment}\nmessage A {{}}"))
}

fn markdown(n: usize) -> Input {
    let mut comment = String::new();
    for i in 0..n {
        let _ = writeln!(
            comment,
            "// * [a{i}](b `c` <d> _e_ **f** ![g] | h ~~~ ``` \\ &amp;"
        );
    }
    messages(format!("{comment}message A {{}}"))
}

fn long_line(n: usize) -> Input {
    let comment = format!("// {}", "[a](<b> `c _d_ *e* ".repeat(n));
    messages(format!("{comment}\nmessage A {{}}"))
}

/// Both the name of the message and the number of its fields grow.
fn long_identifiers(n: usize) -> Input {
    let name = "a".repeat(n * 100);
    let fields = each(n, |i| format!("int32 a{i} = {};", i + 1));
    messages(format!("message A{name} {{ {fields} }}"))
}

fn one_line(n: usize) -> Input {
    let fields: String = (0..n)
        .map(|i| format!("Zq{i}xw a{i} = {}; ", i + 1))
        .collect();
    messages(format!("message A {{ {fields} }}"))
}

fn nested(n: usize) -> Input {
    messages(each(n, |i| {
        let open: String = (0..20)
            .map(|j| format!("message N{j} {{ int32 a = 1; "))
            .collect();
        format!("message A{i} {{ {open} {} }}", "}".repeat(20))
    }))
}

/// Names that become one name in Rust.
fn cases(n: usize) -> Input {
    let fields = each(n, |i| {
        let name: String = (0..16)
            .map(|bit| if i >> bit & 1 == 1 { "_a" } else { "a" })
            .collect();
        format!("int32 b{}c = {};", name, i + 1)
    });
    messages(format!("message A {{ {fields} }}"))
}

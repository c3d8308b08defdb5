//! The schemas: combinations of types, labels and options, and those that are written for one rule each.

/// All schemas, as whole files.
pub(crate) fn all() -> Vec<String> {
    let written = WRITTEN.iter().map(|text| (*text).to_owned());
    fields().into_iter().chain(written).map(file).collect()
}

/// A file with these declarations.
fn file(declarations: impl Into<String>) -> String {
    let declarations = declarations.into();
    let mut text = "syntax = \"proto3\";\npackage t;\n".to_owned();
    for (mention, file) in [
        ("Options ", "descriptor"),
        ("Any", "any"),
        ("Empty", "empty"),
    ] {
        if declarations.contains(&format!("google.protobuf.{mention}"))
            || (mention == "Options " && declarations.contains("Options {"))
        {
            text.push_str(&format!("import \"google/protobuf/{file}.proto\";\n"));
        }
    }
    text + "message H { int32 n = 1; }\nenum E { E_ZERO = 0; E_ONE = 1; }\n" + &declarations + "\n"
}

/// A field of each type, label and option.
fn fields() -> Vec<String> {
    let types = [
        "double", "float", "int32", "uint64", "sint64", "fixed32", "sfixed64", "bool", "string",
        "bytes", "H", "E",
    ];
    let labels = ["", "optional", "repeated"];
    let options = [
        "",
        "[packed = true]",
        "[packed = false]",
        "[lazy = true]",
        "[jstype = JS_STRING]",
        "[ctype = CORD]",
        "[json_name = \"x\", deprecated = true]",
    ];
    let mut all = Vec::new();
    for ty in types {
        for label in labels {
            for option in options {
                all.push(format!("message M {{ {label} {ty} a = 1 {option}; }}"));
            }
        }
        all.push(format!("message M {{ oneof o {{ {ty} a = 1; }} }}"));
        all.push(format!("message M {{ map<string, {ty}> a = 1; }}"));
        all.push(format!("message M {{ map<{ty}, string> a = 1; }}"));
        all.push(format!(
            "message M {{ optional {ty} _a = 1; {ty} X_a = 2; }}"
        ));
        all.push(format!(
            "extend google.protobuf.FieldOptions {{ {ty} mark = 50001; }}"
        ));
    }
    all
}

/// Schemas for one rule each.
const WRITTEN: &[&str] = &[
    // Numbers and ranges.
    "message M { int32 a = 0; }",
    "message M { int32 a = -1; }",
    "message M { int32 a = 536870911; }",
    "message M { int32 a = 536870912; }",
    "message M { int32 a = 19000; }",
    "message M { int32 a = 0x10; int32 b = 017; }",
    "message M { int32 a = 1; int32 b = 1; }",
    "message M { reserved 1; int32 a = 1; }",
    "message M { reserved 5 to 3; }",
    "message M { reserved 1 to 3, 3; }",
    "message M { reserved 1 to 3; reserved 4 to max; }",
    "message M { reserved 0; }",
    "message M { reserved -1; }",
    "message M { reserved \"a\", \"a\"; }",
    "message M { reserved \"a\"; int32 a = 1; }",
    "message M { reserved \"not a name\"; }",
    "message M { reserved a; }",
    "message M { reserved 1, \"a\"; }",
    "message M { extensions 100; }",
    "enum F { F_ZERO = 0; reserved -5 to -1; }",
    "enum F { F_ZERO = 0; reserved -1 to -5; }",
    "enum F { F_ZERO = 0; reserved 1 to max, 5; }",
    "enum F { F_ZERO = 0; F_MIN = -2147483648; F_MAX = 2147483647; }",
    "enum F { F_ZERO = 0; F_BIG = 2147483648; }",
    "enum F { F_ZERO = 0; reserved \"F_ZERO\"; }",
    "enum F { F_ZERO = 0; F_ONE = 1; reserved 1; }",
    // Enums.
    "enum F { }",
    "enum F { F_ONE = 1; }",
    "enum F { F_ZERO = 0; F_NULL = 0; }",
    "enum F { option allow_alias = true; F_ZERO = 0; F_NULL = 0; }",
    "enum F { option allow_alias = true; F_ZERO = 0; }",
    "enum F { option allow_alias = false; F_ZERO = 0; }",
    "enum F { ZERO = 0; } enum G { ZERO = 0; }",
    "enum F { F_ZERO = 0; f_zero = 1; }",
    "enum F { F_A_B = 0; F_AB = 1; }",
    "enum F { F_A = 0; A = 1; }",
    "enum F { option deprecated = true; F_ZERO = 0 [deprecated = true]; }",
    "enum F { F_ZERO = 0; ; }",
    // Names.
    "message M { int32 a = 1; string a = 2; }",
    "message M { int32 foo_bar = 1; int32 fooBar = 2; }",
    "message M { int32 a = 1 [json_name = \"b\"]; int32 b = 2; }",
    "message M { int32 a = 1 [json_name = \"b\"]; int32 b = 2 [json_name = \"b\"]; }",
    "message M { int32 a = 1 [json_name = \"\"]; }",
    "message M { int32 a = 1 [json_name = \"a\\0b\"]; }",
    "message M { int32 a = 1 [json_name = \"[a]\"]; }",
    "message M { int32 a = 1 [json_name = 5]; }",
    "message M { int32 a = 1 [json_name = \"x\", json_name = \"y\"]; }",
    "message M { message M { } M m = 1; }",
    "message M { } message M { }",
    "message M { } enum M { M_ZERO = 0; }",
    "message M { int32 a = 1; message a { } }",
    "message M { oneof a { int32 b = 1; } int32 a = 2; }",
    "message M { oneof a { int32 b = 1; } oneof a { int32 c = 2; } }",
    "message M { oneof a { } }",
    "message M { oneof a { int32 b = 1; int32 b = 2; } }",
    "message M { oneof a { repeated int32 b = 1; } }",
    "message M { oneof a { optional int32 b = 1; } }",
    "message M { oneof a { map<int32, int32> b = 1; } }",
    "message M { oneof a { option deprecated = true; int32 b = 1; } }",
    "message message { message message = 1; } message M { message m = 1; }",
    "message M { string string = 1; int32 int32 = 2; bool true = 3; }",
    "message M { int32 syntax = 1; int32 import = 2; int32 option = 3; int32 reserved = 4; int32 to = 5; int32 max = 6; }",
    "message t { }",
    "message M { t.H a = 1; .t.H b = 2; H c = 3; }",
    "message M { .H a = 1; }",
    "message M { Unknown a = 1; }",
    "message M { H.Unknown a = 1; }",
    "message M { message t { } t.H a = 1; }",
    "message M { message H { } H a = 1; .t.H b = 2; }",
    "message M { enum H { A = 0; } H a = 1; }",
    "message M { E.E_ONE a = 1; }",
    "message M { int32 a_1 = 1; int32 a1 = 2; }",
    "message M { int32 __a = 1; int32 a__b = 2; int32 a_ = 3; }",
    // Maps.
    "message M { map<string, string> a = 1; map<string, string> a_ = 2; }",
    "message M { map<string, string> foo_bar = 1; map<string, string> FooBar = 2; }",
    "message M { map<string, string> a = 1; message AEntry { } }",
    "message M { map<string, string> a = 1; AEntry b = 2; }",
    "message M { map<string, string> a = 1; } message N { M.AEntry b = 1; }",
    "message AEntry { } message M { map<string, string> a = 1; repeated AEntry b = 2; }",
    "message AEntry { } message M { map<string, string> a = 1; repeated .t.AEntry b = 2; }",
    "message M { message AEntry { option map_entry = true; string key = 1; string value = 2; } repeated AEntry a = 1; }",
    "message M { map<string, map<string, string>> a = 1; }",
    "message M { repeated map<string, string> a = 1; }",
    "message M { optional map<string, string> a = 1; }",
    "message M { map<string, string> a = 1 [deprecated = true]; }",
    "message M { map<string, Unknown> a = 1; }",
    "message M { map<string, string> value = 1; map<string, H> key = 2; }",
    // Options.
    "message M { option deprecated = true; option deprecated = true; }",
    "message M { option deprecated = maybe; }",
    "message M { option deprecated = \"true\"; }",
    "message M { option unknown = true; }",
    "message M { option (unknown) = true; }",
    "message M { option map_entry = false; }",
    "message M { option message_set_wire_format = true; }",
    "message M { option message_set_wire_format = false; }",
    "message M { option no_standard_descriptor_accessor = true; }",
    "message M { int32 a = 1 [default = 5]; }",
    "message M { int32 a = 1 [weak = true]; }",
    "message M { int32 a = 1 [debug_redact = true]; }",
    "message M { int32 a = 1 [lazy = false]; H b = 2 [unverified_lazy = true]; int32 c = 3 [unverified_lazy = true]; }",
    "message M { int32 a = 1 [features.field_presence = EXPLICIT]; }",
    "message M { int64 a = 1 [jstype = JS_NORMAL]; string b = 2 [jstype = JS_NORMAL]; }",
    "message M { int64 a = 1 [jstype = 1]; }",
    "message M { int32 a = 1 [packed = false, packed = false]; }",
    "message M { int32 a = 1 []; }",
    "option java_package = \"a\"; option java_package = \"b\";",
    "option java_package = \"a\" \"b\";",
    "option java_package = 'it''s';",
    "option java_package = \"\\x41\\101\\u0041\\U00000041\\n\";",
    "option java_package = \"\\ud83d\\ude00\";",
    "option java_package = \"\\q\";",
    "option java_package = \"open;",
    "option optimize_for = SPEED;",
    "option optimize_for = FAST;",
    "option optimize_for = LITE_RUNTIME;",
    "option features.enum_type = CLOSED;",
    "option cc_enable_arenas = true; option go_package = \"a/b;c\";",
    "option deprecated = true;",
    // Custom options.
    "extend google.protobuf.MessageOptions { string mark = 50001; } message M { option (mark) = \"a\"; option (t.mark) = \"b\"; }",
    "extend google.protobuf.MessageOptions { repeated string mark = 50001; } message M { option (mark) = \"a\"; option (.t.mark) = \"b\"; }",
    "extend google.protobuf.MessageOptions { string mark = 50001; } message M { option mark = \"a\"; }",
    "extend google.protobuf.MessageOptions { string mark = 50001; } message M { int32 a = 1 [(mark) = \"a\"]; }",
    "extend google.protobuf.MessageOptions { string mark = 50001; } message M { option (mark) = 5; }",
    "extend google.protobuf.MessageOptions { int32 mark = 50001; } message M { option (mark) = -5; }",
    "extend google.protobuf.MessageOptions { uint32 mark = 50001; } message M { option (mark) = -5; }",
    "extend google.protobuf.MessageOptions { int32 mark = 50001; } message M { option (mark) = 2147483648; }",
    "extend google.protobuf.MessageOptions { int32 mark = 50001; } message M { option (mark) = 1.5; }",
    "extend google.protobuf.MessageOptions { float mark = 50001; } message M { option (mark) = 1; }",
    "extend google.protobuf.MessageOptions { float mark = 50001; } message M { option (mark) = -inf; }",
    "extend google.protobuf.MessageOptions { float mark = 50001; } message M { option (mark) = inf; }",
    "extend google.protobuf.MessageOptions { double mark = 50001; } message M { option (mark) = 1e400; }",
    "extend google.protobuf.MessageOptions { double mark = 50001; } message M { option (mark) = .5; }",
    "extend google.protobuf.MessageOptions { double mark = 50001; } message M { option (mark) = 1.f; }",
    "extend google.protobuf.MessageOptions { string mark = 50001; } message M { option (mark) = inf; }",
    "extend google.protobuf.MessageOptions { bytes mark = 50001; } message M { option (mark) = \"\\xff\"; }",
    "extend google.protobuf.MessageOptions { E mark = 50001; } message M { option (mark) = E_ONE; }",
    "extend google.protobuf.MessageOptions { E mark = 50001; } message M { option (mark) = E_TWO; }",
    "extend google.protobuf.MessageOptions { E mark = 50001; } message M { option (mark) = 1; }",
    "extend google.protobuf.MessageOptions { H mark = 50001; } message M { option (mark).n = 5; }",
    "extend google.protobuf.MessageOptions { H mark = 50001; } message M { option (mark) = { n: 5 }; }",
    "extend google.protobuf.MessageOptions { H mark = 50001; } message M { option (mark) = { n: 5, }; }",
    "extend google.protobuf.MessageOptions { H mark = 50001; } message M { option (mark) = { m: 5 }; }",
    "extend google.protobuf.MessageOptions { H mark = 50001; } message M { option (mark).n = 5; option (mark).n = 6; }",
    "extend google.protobuf.MessageOptions { H mark = 50001; } message M { option (mark) = { n: 5 }; option (mark).n = 6; }",
    "extend google.protobuf.MessageOptions { H mark = 50001; } message M { option (mark) = 5; }",
    "extend google.protobuf.MessageOptions { string a = 50001; string b = 50001; }",
    "extend google.protobuf.MessageOptions { string a = 1; }",
    "extend google.protobuf.MessageOptions { string a = 5; }",
    "extend google.protobuf.MessageOptions { required string a = 50001; }",
    "extend google.protobuf.MessageOptions { map<string, string> a = 50001; }",
    "extend google.protobuf.MessageOptions { oneof a { string b = 50001; } }",
    "extend google.protobuf.MessageOptions { string a = 50001 [json_name = \"b\"]; }",
    "extend google.protobuf.MessageOptions { }",
    "extend google.protobuf.EnumOptions { bool mark = 50001; } enum F { option (mark) = true; F_ZERO = 0; }",
    "extend google.protobuf.EnumValueOptions { bool mark = 50001; } enum F { F_ZERO = 0 [(mark) = true]; }",
    "extend google.protobuf.OneofOptions { bool mark = 50001; } message M { oneof o { option (mark) = true; int32 a = 1; } }",
    "extend google.protobuf.FileOptions { bool mark = 50001; } option (mark) = true;",
    "extend google.protobuf.ServiceOptions { bool mark = 50001; } service S { option (mark) = true; }",
    "extend google.protobuf.MethodOptions { bool mark = 50001; } service S { rpc A(H) returns (H) { option (mark) = true; } }",
    "extend H { int32 a = 100; }",
    "extend Unknown { int32 a = 100; }",
    "message M { extend google.protobuf.FieldOptions { string mark = 50001; } int32 a = 1 [(M.mark) = \"x\"]; int32 b = 2 [(mark) = \"y\"]; }",
    // Services.
    "service S { rpc A(H) returns (H); }",
    "service S { rpc A(stream H) returns (stream H) { } }",
    "service S { rpc A(string) returns (H); }",
    "service S { rpc A(E) returns (H); }",
    "service S { rpc A(Unknown) returns (H); }",
    "service S { rpc A(H) returns (H); rpc A(H) returns (H); }",
    "service S { } service S { }",
    "service H { }",
    "service S { rpc A(google.protobuf.Empty) returns (google.protobuf.Any) { option deprecated = true; option idempotency_level = IDEMPOTENT; } }",
    "service S { option deprecated = true; ; }",
    "service S { rpc A(stream) returns (H); } message stream { }",
    // Syntax.
    "message M { required int32 a = 1; }",
    "message M { repeated group G = 1 { } }",
    "message M { int32 a = 1 }",
    "message M { int32 = 1; }",
    "message M { int32 a; }",
    "message M { int32 a = 1.0; }",
    "message M { int32 a = \"1\"; }",
    "message M { int32 a = 1; ; }",
    "message M { int32 a = 1; } ;",
    "message M",
    "message 5 { }",
    "message M { /* a /* b */ int32 a = 1; }",
    "message M { // a\n int32 a = 1; /* b */ }",
    "# comment\nmessage M { }",
    "package other;",
    "syntax = \"proto3\";",
    "import \"google/protobuf/missing.proto\";",
    "import \"google/protobuf/api.proto\";",
    "import public \"google/protobuf/type.proto\";",
    "import weak \"google/protobuf/any.proto\";",
    "import \"google/protobuf/any.proto\"; import \"google/protobuf/any.proto\";",
    "import \"google/protobuf/compiler/plugin.proto\"; message M { google.protobuf.compiler.Version v = 1; }",
    "import \"google/protobuf/cpp_features.proto\";",
    "message M { message A { message B { message C { enum D { D_ZERO = 0; } D d = 1; } } } A.B.C.D d = 1; }",
    "message M { optional int32 a = 1; oneof _a { int32 b = 2; } }",
    "message M { optional int32 a = 1; optional int32 _a = 2; }",
    "message M { optional int32 a = 1; message _a { } }",
    "message M { optional int32 a = 1; enum F { _a = 0; } oneof o { int32 b = 2; } optional int32 c = 3; }",
    "message M { optional int32 a = 1; int32 _a = 2; int32 X_a = 3; }",
];

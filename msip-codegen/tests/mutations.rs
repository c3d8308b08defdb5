//! Mutated files: the compiler returns output or mistakes, and never panics or hangs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use msip_codegen::Builder;
use proptest::prelude::*;

const KITCHEN: &str = include_str!("fixtures/valid/kitchen.proto");
const NAMES: &str = include_str!("fixtures/valid/names.proto");
const GEO: &str = include_str!("fixtures/valid/shared/geo.proto");

/// One change of a text.
#[derive(Debug, Clone)]
enum Mutation {
    Flip {
        at: usize,
        byte: u8,
    },
    Delete {
        at: usize,
        len: usize,
    },
    Truncate {
        at: usize,
    },
    /// Copies a piece to another place.
    Copy {
        from: usize,
        len: usize,
        to: usize,
    },
    SwapTokens {
        first: usize,
        second: usize,
    },
    ReplaceToken {
        at: usize,
        with: &'static str,
    },
    /// Inserts the same token repeatedly.
    Repeat {
        at: usize,
        token: &'static str,
        count: usize,
    },
}

const TOKENS: [&str; 44] = [
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "<",
    ">",
    "=",
    ";",
    ",",
    ".",
    "\"",
    "'",
    "/*",
    "*/",
    "//",
    "\\",
    "-",
    "0",
    "-1",
    "65536",
    "99999999999999999999",
    "1e999",
    "message",
    "enum",
    "oneof",
    "map",
    "optional",
    "repeated",
    "required",
    "reserved",
    "extensions",
    "extend",
    "service",
    "rpc",
    "stream",
    "import",
    "package",
    "syntax",
    "option",
    "group",
    "ClientToServer",
    "\u{feff}ä\u{202e}\0",
];

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = || 0..20_000_usize;
    let token = || prop::sample::select(TOKENS.to_vec());
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Mutation::Flip { at, byte }),
        (at(), 1..200_usize).prop_map(|(at, len)| Mutation::Delete { at, len }),
        at().prop_map(|at| Mutation::Truncate { at }),
        (at(), 1..400_usize, at()).prop_map(|(from, len, to)| Mutation::Copy { from, len, to }),
        (at(), at()).prop_map(|(first, second)| Mutation::SwapTokens { first, second }),
        (at(), token()).prop_map(|(at, with)| Mutation::ReplaceToken { at, with }),
        (at(), token(), 1..300_usize).prop_map(|(at, token, count)| Mutation::Repeat {
            at,
            token,
            count
        }),
    ]
}

/// The tokens of a text, blanks among them: pieces of letters and digits, and single bytes.
fn tokens(text: &[u8]) -> Vec<Vec<u8>> {
    let mut tokens: Vec<Vec<u8>> = Vec::new();
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    for &byte in text {
        match tokens.last_mut() {
            Some(last) if is_word(byte) && last.last().is_some_and(|&end| is_word(end)) => {
                last.push(byte)
            }
            _ => tokens.push(vec![byte]),
        }
    }
    tokens
}

fn apply(text: &mut Vec<u8>, mutation: &Mutation) {
    let len = text.len().max(1);
    match *mutation {
        Mutation::Flip { at, byte } => {
            if let Some(old) = text.get_mut(at % len) {
                *old = byte;
            }
        }
        Mutation::Delete { at, len: count } => {
            let start = at % len;
            text.drain(start.min(text.len())..(start + count).min(text.len()));
        }
        Mutation::Truncate { at } => text.truncate(at % len),
        Mutation::Copy {
            from,
            len: count,
            to,
        } => {
            let start = (from % len).min(text.len());
            let piece = text[start..(start + count).min(text.len())].to_vec();
            let to = (to % len).min(text.len());
            text.splice(to..to, piece);
        }
        Mutation::SwapTokens { first, second } => {
            let mut all = tokens(text);
            let count = all.len().max(1);
            if !all.is_empty() {
                all.swap(first % count, second % count);
            }
            *text = all.concat();
        }
        Mutation::ReplaceToken { at, with } => {
            let mut all = tokens(text);
            let count = all.len().max(1);
            if let Some(token) = all.get_mut(at % count) {
                *token = with.as_bytes().to_vec();
            }
            *text = all.concat();
        }
        Mutation::Repeat { at, token, count } => {
            let at = (at % len).min(text.len());
            text.splice(at..at, token.repeat(count).into_bytes());
        }
    }
}

fn write(folder: &Path, name: &str, text: &[u8]) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Compiles, and checks what must hold for every outcome.
fn check(main: &[u8], geo: &[u8], messages_only: bool) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "in/main.proto", main);
    write(folder.path(), "in/shared/geo.proto", geo);
    let out = folder.path().join("out");
    let builder = Builder::new()
        .include(folder.path().join("in"))
        .out_dir(&out)
        .emit_rerun_if_changed(false);
    let builder = if messages_only {
        builder.messages_only()
    } else {
        builder
    };
    match builder.compile(&["main.proto"]) {
        Ok(()) => assert!(out.join("packages.rs").is_file()),
        Err(error) => {
            assert!(!out.exists(), "files were written");
            assert!(!error.diagnostics().is_empty(), "{error}");
            assert!(!error.render().is_empty());
        }
    }
    // Nothing outside of the output folder.
    let names = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().all(|name| name == "in" || name == "out"));
}

/// How many cases of each property: a few by default, more on request.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(96)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_mutated_schema_is_answered(
        mutations in prop::collection::vec(mutation(), 1..6),
        of_names in any::<bool>(),
        of_import in any::<bool>(),
        messages_only in any::<bool>(),
    ) {
        let mut main = if of_names { NAMES } else { KITCHEN }.as_bytes().to_vec();
        let mut geo = GEO.as_bytes().to_vec();
        let text = if of_import { &mut geo } else { &mut main };
        for mutation in &mutations {
            apply(text, mutation);
        }
        check(&main, &geo, messages_only);
    }

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        check(&bytes, GEO.as_bytes(), false);
    }

    #[test]
    fn any_tokens_are_answered(tokens in prop::collection::vec(prop::sample::select(TOKENS.to_vec()), 0..200)) {
        let text = format!("syntax = \"proto3\"; package p; {}", tokens.join(" "));
        check(text.as_bytes(), GEO.as_bytes(), false);
    }
}

#[test]
fn deep_and_long_texts_are_answered() {
    for (name, text) in [
        ("messages", "message A {".repeat(20_000)),
        ("brackets", "[".repeat(100_000)),
        (
            "aggregates",
            format!("option (x) = {}", "{a:".repeat(50_000)),
        ),
        (
            "aggregates behind comments",
            format!("option (x) = {}", "{ # /*\na:".repeat(50_000)),
        ),
        (
            "types",
            format!("message A {{ {}B b = 1; }}", "a.".repeat(50_000)),
        ),
        ("package", format!("package {}a;", "a.".repeat(50_000))),
        ("comment", format!("/* {}", "*".repeat(200_000))),
        ("string", format!("import \"{}", "a".repeat(200_000))),
        (
            "imports",
            (0..2_000)
                .map(|index| format!("import \"missing_{index}.proto\";\n"))
                .collect(),
        ),
        (
            "fields",
            format!(
                "message A {{ {} }}",
                (1..5_000)
                    .map(|n| format!("string a{n} = {n};"))
                    .collect::<String>()
            ),
        ),
    ] {
        println!("{name}");
        check(
            format!("syntax = \"proto3\";\n{text}").as_bytes(),
            GEO.as_bytes(),
            true,
        );
    }
}

#[test]
fn a_long_chain_of_imports_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    for index in 0..2_000 {
        let text = format!(
            "syntax = \"proto3\";\npackage p;\nimport \"f{}.proto\";\n",
            index + 1
        );
        write(folder.path(), &format!("f{index}.proto"), text.as_bytes());
    }
    let builder = Builder::new()
        .include(folder.path())
        .out_dir(folder.path().join("out"))
        .emit_rerun_if_changed(false);
    let error = builder.messages_only().compile(&["f0.proto"]).unwrap_err();
    assert_eq!(error.diagnostics().len(), 1, "{error}");
}

//! The generated code that is checked in, for users without the generator, is what the command writes.

use std::path::Path;

use super::{ROOT, gen_in};

/// What is checked in: the arguments that have written it, from the folder of the repository.
const CHECKED_IN: [&[&str]; 8] = [
    &[
        "--python",
        "languages/python/examples",
        "examples/proto/chat.proto",
    ],
    &[
        "--typescript",
        "languages/typescript/examples/chat",
        "examples/proto/chat.proto",
    ],
    &[
        "--python",
        "conformance/drivers/python",
        "conformance/conformance.proto",
        "conformance/control.proto",
    ],
    &[
        "--typescript",
        "conformance/drivers/node/gen",
        "conformance/conformance.proto",
        "conformance/control.proto",
    ],
    &[
        "--side",
        "client",
        "--python",
        "conformance/drivers/python/renamed",
        "conformance/versions/renamed.proto",
    ],
    // The driver reads what its client sends, too.
    &[
        "--typescript",
        "conformance/drivers/node/gen/renamed",
        "conformance/versions/renamed.proto",
    ],
    &[
        "--side",
        "client",
        "--python",
        "conformance/drivers/python/changed",
        "conformance/versions/changed.proto",
    ],
    // The driver reads what its client sends, too.
    &[
        "--typescript",
        "conformance/drivers/node/gen/changed",
        "conformance/versions/changed.proto",
    ],
];

/// With `MSIP_UPDATE=1` in the environment it is written anew instead.
#[test]
fn what_is_checked_in_is_current() {
    let updates = std::env::var_os("MSIP_UPDATE").is_some_and(|value| value != "0");
    let check: &[&str] = if updates { &[] } else { &["--check"] };
    for arguments in CHECKED_IN {
        let ended = gen_in(Path::new(ROOT), &[check, arguments].concat());
        let command = format!("cargo run -p msip-cli -- gen {}", arguments.join(" "));
        assert_eq!(ended.code, Some(0), "run `{command}`: {ended:?}");
    }
}

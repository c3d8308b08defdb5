//! The generated code that is checked in, for users without the generator, is what the command writes.

use std::path::Path;

use super::{ROOT, gen_in};

/// What is checked in: the arguments that have written it, from the folder of the repository.
const CHECKED_IN: [&[&str]; 3] = [
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
];

#[test]
fn what_is_checked_in_is_current() {
    for arguments in CHECKED_IN {
        let ended = gen_in(Path::new(ROOT), &[&["--check"], arguments].concat());
        let command = format!("cargo run -p msip-cli -- gen {}", arguments.join(" "));
        assert_eq!(ended.code, Some(0), "run `{command}`: {ended:?}");
    }
}

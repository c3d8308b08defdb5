//! The core: frames, sessions and codecs, which need no input and output.

use std::path::Path;

use msip_tests::programs;

use super::tools::{ROOT, tools};

/// The vectors and malformed frames of docs/protocol.md, every shape of an exchange, sessions under a simulation, and codecs.
#[test]
fn the_core_passes_its_own_tests() {
    let Some(tools) = tools() else { return };
    let tests = Path::new(ROOT).join("languages/typescript/tests");
    let folder = tools.project("core");
    let mut node = tools.node();
    node.arg(tests.join("run.mjs"))
        .arg(&folder)
        .args(["wire", "session", "codec"]);
    programs::run(&mut node).unwrap_or_else(|why| panic!("{why}"));
}

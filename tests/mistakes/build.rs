//! Compiles the chat, and tells the cases where it is: they are built by another cargo, which has no build script.

use std::path::PathBuf;

fn main() -> Result<(), msip_codegen::CompileError> {
    msip_codegen::compile_protos(
        &["../../examples/proto/chat.proto"],
        &["../../examples/proto"],
    )?;
    let folder = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    // Set for the compiler, and for the tests as they run.
    println!(
        "cargo::rustc-env=MSIP_CHAT={}",
        folder.join("msip/chat.rs").display()
    );
    Ok(())
}

//! Compiles the protocol that the drivers speak, its other versions, and the protocol that the drivers are told by.

use std::path::Path;

use msip_codegen::{Builder, CompileError};

fn main() -> Result<(), CompileError> {
    Builder::new()
        .include(".")
        .compile(&["conformance.proto", "control.proto"])?;
    let out = std::env::var_os("OUT_DIR").unwrap_or_default();
    for version in ["renamed", "changed"] {
        Builder::new()
            .include("versions")
            .out_dir(Path::new(&out).join(version))
            .client_only()
            .compile(&[format!("{version}.proto")])?;
    }
    Ok(())
}

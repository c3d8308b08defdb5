//! Compiles the protocol that the drivers speak, and the one that they are told by.

use msip_codegen::{Builder, CompileError};

fn main() -> Result<(), CompileError> {
    Builder::new()
        .include(".")
        .compile(&["conformance.proto", "control.proto"])
}

//! Compiles the protocols that the tests speak.

fn main() -> Result<(), msip_codegen::CompileError> {
    msip_codegen::compile_protos(&["proto/lab.proto"], &["proto"])
}

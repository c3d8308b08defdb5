fn main() -> Result<(), msip_codegen::CompileError> {
    msip_codegen::compile_protos(&["proto/greet.proto"], &["proto"])
}

//! Compiles the protocol that the benchmarks speak.

fn main() -> Result<(), msip_codegen::CompileError> {
    msip_codegen::Builder::new()
        .include("proto")
        .bytes(".bench.Note.data")
        .compile(&["bench.proto"])
}

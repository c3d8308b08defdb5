//! Compiles the protocols that the examples speak.

fn main() -> Result<(), msip_codegen::CompileError> {
    msip_codegen::compile_protos(
        &[
            "proto/chat.proto",
            "fleet/protocol.proto",
            "messi/messi_chat.proto",
            "flyrpc/flyrpc_calc.proto",
            "jesus/jesus_rest.proto",
        ],
        &["proto", "fleet", "messi", "flyrpc", "jesus"],
    )
}

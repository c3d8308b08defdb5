//! Compiles the gRPC service, without `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = protox::compile(["peers.proto"], ["proto"])?;
    println!("cargo::rerun-if-changed=proto/peers.proto");
    tonic_prost_build::configure()
        .bytes(".peers.Note.data")
        .compile_fds(files)?;
    Ok(())
}

//! Compiles the protocols that the tests speak.

use std::path::PathBuf;

use msip_codegen::{Builder, CompileError};

fn main() -> Result<(), CompileError> {
    // All that one crate may hold at once. Two of them share a package.
    Builder::new()
        .includes(["proto", "../examples/proto"])
        .bytes(".shared.v1.Parcel.content")
        .compile(&[
            "gauges.proto",
            "lab.proto",
            "names.proto",
            "sampler.proto",
            "chat.proto",
            "fleet/v1/fleet.proto",
            "depot/v1/depot.proto",
        ])?;
    // A protocol of which a program needs one side only, over messages that it has already.
    let one_side = |folder| {
        Builder::new()
            .include("proto")
            .out_dir(folder)
            .extern_path(".shared.v1", "crate::tree::shared::v1")
    };
    one_side(out("fleet_client"))
        .client_only()
        .compile(&["fleet/v1/fleet.proto"])?;
    one_side(out("fleet_server"))
        .server_only()
        .compile(&["fleet/v1/fleet.proto"])?;
    // Messages of several origins.
    Builder::new()
        .include("proto/shapes")
        .out_dir(out("shapes"))
        .compile(&["shapes.proto"])?;
    // Messi's own examples; one of them has the name of another's.
    Builder::new()
        .include("proto/messi")
        .out_dir(out("messi"))
        .compile(&["chat.proto", "my_protocol.proto"])?;
    // Two releases of one protocol, which has one name.
    for release in ["old", "new"] {
        Builder::new()
            .include("proto/rolling")
            .out_dir(out(release))
            .compile(&[format!("{release}.proto")])?;
    }
    Ok(())
}

fn out(folder: &str) -> PathBuf {
    PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default()).join(folder)
}

//! The Rust of `proto/hello.proto`, as `msip-codegen` writes it: checked in, so that this crate needs no build script.
//!
//! After a change of the `.proto`: `MSIP_UPDATE=1 cargo test -p msip-tests --test agreement`.

// Not a module file: what is generated is not formatted again.
include!("generated/msip.v1.rs");

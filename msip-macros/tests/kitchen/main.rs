//! A schema that says everything, once as a `.proto` file and once as Rust types: one protocol, one fingerprint, the
//! same bytes.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

mod bytes;
#[expect(unreachable_pub, reason = "written as a library would")]
mod derived;
mod descriptors;
mod evolution;
/// What `msip-codegen` writes for `proto/kitchen.proto`.
#[expect(unreachable_pub, reason = "written for a library")]
mod spelled {
    include!("generated/acme.kitchen.v1.rs");
}
mod fingerprint;
mod samples;
#[path = "../support/mod.rs"]
mod support;

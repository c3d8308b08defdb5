//! The folder of descriptor sets from which services take their schemas: the start of a registry.
//!
//! A file is an encoded `FileDescriptorSet` with its imports, such as `<package>.descriptors.bin` of msip-codegen, or what
//! `protoc --include_imports --include_source_info -o chat.binpb` and `buf build -o chat.binpb` write, which keep the comments.

mod error;
mod fits;
mod folder;
mod loaded;
mod watched;

pub use error::RegistryError;
pub use fits::{Fit, check_fingerprints};
pub use loaded::{Conflict, Loaded};
pub use watched::Registry;

#[cfg(test)]
mod tests;

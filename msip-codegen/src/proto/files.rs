//! The files of a run.

use std::path::PathBuf;

use prost_types::FileDescriptorProto;

use super::source_info::SourceInfo;

/// A file that was parsed.
#[derive(Debug)]
pub(crate) struct ProtoFile {
    /// Its name in imports: `chat.proto`.
    pub(crate) name: String,
    /// Its path relative to the project: `proto/chat.proto`.
    pub(crate) shown: String,
    pub(crate) origin: Origin,
    pub(crate) descriptor: FileDescriptorProto,
    pub(crate) source_info: SourceInfo,
    /// The files that it imports, by index; those that could not be read are missing.
    pub(crate) imports: Vec<usize>,
}

/// Where a file comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Disk(PathBuf),
    /// `msip/options.proto`
    Options,
    WellKnown,
}

impl ProtoFile {
    /// Whether it is a file of the user's.
    pub(crate) fn is_users(&self) -> bool {
        matches!(self.origin, Origin::Disk(_))
    }

    pub(crate) fn package(&self) -> &str {
        self.descriptor.package()
    }

    pub(crate) fn is_proto3(&self) -> bool {
        self.descriptor.syntax() == "proto3"
    }
}

/// All files of a run, each after those that it imports.
#[derive(Debug, Default)]
pub(crate) struct Files {
    pub(crate) files: Vec<ProtoFile>,
    /// The inputs, by index, in the order in which they were named; those that could not be read are missing.
    pub(crate) inputs: Vec<usize>,
    /// The path of every file on disk that was read, even if it is not a schema.
    pub(crate) read: Vec<PathBuf>,
}

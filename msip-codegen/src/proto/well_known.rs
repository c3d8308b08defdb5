//! The files that schemas may import without having them.

/// The text of `msip/options.proto`.
pub(crate) const OPTIONS_TEXT: &str = include_str!("../../proto/msip/options.proto");

/// Google's files, which are part of this crate's dependencies.
pub(crate) const WELL_KNOWN: [&str; 11] = [
    "google/protobuf/any.proto",
    "google/protobuf/api.proto",
    "google/protobuf/descriptor.proto",
    "google/protobuf/duration.proto",
    "google/protobuf/empty.proto",
    "google/protobuf/field_mask.proto",
    "google/protobuf/source_context.proto",
    "google/protobuf/struct.proto",
    "google/protobuf/timestamp.proto",
    "google/protobuf/type.proto",
    "google/protobuf/wrappers.proto",
];

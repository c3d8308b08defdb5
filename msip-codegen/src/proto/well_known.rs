//! The files that schemas may import without having them.

/// The text of `msip/options.proto`.
pub(crate) const OPTIONS_TEXT: &str = include_str!("../../proto/msip/options.proto");

/// Google's files that come with protoc, except for those of features, which only editions use.
pub(crate) const WELL_KNOWN: [&str; 12] = [
    "google/protobuf/any.proto",
    "google/protobuf/api.proto",
    "google/protobuf/compiler/plugin.proto",
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

/// The text of those that are not part of this crate's dependencies.
pub(crate) fn text(name: &str) -> Option<&'static str> {
    match name {
        "google/protobuf/compiler/plugin.proto" => Some(include_str!(
            "../../proto/google/protobuf/compiler/plugin.proto"
        )),
        _ => None,
    }
}

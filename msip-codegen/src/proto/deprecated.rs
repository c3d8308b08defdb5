//! Protobuf's own option `deprecated`.

use prost_types::UninterpretedOption;

/// Whether it is set. The parser leaves options uninterpreted; files from elsewhere have them `interpreted`.
pub(crate) fn is_deprecated(interpreted: bool, options: &[UninterpretedOption]) -> bool {
    interpreted
        || options.iter().any(|option| {
            matches!(option.name.as_slice(), [part] if part.name_part == "deprecated" && !part.is_extension)
                && option.identifier_value() == "true"
        })
}

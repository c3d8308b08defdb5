//! Protobuf's own option `packed`.

use msip_schema::{Cardinality, FieldType};
use prost_types::FieldOptions;

/// Whether `packed = false` has an effect: each value of a list of numbers is written with a tag of its own. The parser leaves
/// options uninterpreted; files from elsewhere have them interpreted.
pub(crate) fn is_expanded(
    options: Option<&FieldOptions>,
    cardinality: &Cardinality,
    ty: &FieldType,
) -> bool {
    let is_packable = *cardinality == Cardinality::Repeated
        && !matches!(
            ty,
            FieldType::String | FieldType::Bytes | FieldType::Message(_)
        );
    is_packable
        && options.is_some_and(|options| {
            options.packed == Some(false)
                || options.uninterpreted_option.iter().any(|option| {
                    matches!(option.name.as_slice(), [part] if part.name_part == "packed" && !part.is_extension)
                        && option.identifier_value() == "false"
                })
        })
}

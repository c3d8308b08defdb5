//! Settings of the Rust output.

use msip_emit::rust::Sides;

/// What users can change in the output.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    pub(crate) sides: Sides,
    /// Whether `packages.rs` is left out if there is only one package.
    pub(crate) omits_single_tree: bool,
    /// Attributes by the path of a type, as prost reads paths.
    pub(crate) type_attributes: Vec<(String, String)>,
    pub(crate) field_attributes: Vec<(String, String)>,
    pub(crate) extern_paths: Vec<(String, String)>,
    /// Paths of fields that are `Bytes`.
    pub(crate) bytes: Vec<String>,
    /// Paths of fields that are `BTreeMap`.
    pub(crate) btree_maps: Vec<String>,
    /// Paths of messages without `Debug`.
    pub(crate) skip_debug: Vec<String>,
}

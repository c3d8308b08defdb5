//! Settings are checked before anything is compiled.

use syn::parse::Parser as _;

use super::Builder;
use crate::error::CompileError;

impl Builder {
    /// Rejects settings that prost would report unclearly, or panic on.
    pub(super) fn check_settings(&self) -> Result<(), CompileError> {
        for (path, attribute) in self
            .settings
            .type_attributes
            .iter()
            .chain(&self.settings.field_attributes)
        {
            if syn::Attribute::parse_outer.parse_str(attribute).is_err() {
                return Err(CompileError::setting(format!(
                    "the attribute for `{path}` is not Rust: `{attribute}`"
                )));
            }
        }
        for (proto, rust) in &self.settings.extern_paths {
            if !proto.starts_with('.') || proto.split('.').skip(1).any(str::is_empty) {
                let text = format!(
                    "the path `{proto}` must be a whole name with a dot in front, such as `.shared.v1`"
                );
                return Err(CompileError::setting(text));
            }
            if syn::parse_str::<syn::Type>(rust).is_err() {
                return Err(CompileError::setting(format!(
                    "the path for `{proto}` is not Rust: `{rust}`"
                )));
            }
        }
        Ok(())
    }
}

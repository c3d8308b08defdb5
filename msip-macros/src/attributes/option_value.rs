//! Values of options.

use proc_macro2::Span;

/// A value and its span.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OptionValue<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

//! Values of options with their spans.

use proc_macro2::Span;

/// A value and its span.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

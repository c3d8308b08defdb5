//! Error collection: all mistakes of an item are reported together.

use std::fmt::Display;

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

/// Mistakes found so far.
#[derive(Default)]
pub(crate) struct Errors {
    all: Option<syn::Error>,
    /// Whether a field has a type that no message can carry, such as one that is not `Send`.
    has_unusable_type: bool,
}

impl Errors {
    /// Adds one at a span.
    pub(crate) fn push(&mut self, span: Span, message: impl Display) {
        self.add(syn::Error::new(span, message));
    }

    /// Adds one at these tokens.
    pub(crate) fn push_at(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.add(syn::Error::new_spanned(tokens, message));
    }

    /// Adds an error of syn's.
    pub(crate) fn add(&mut self, error: syn::Error) {
        match &mut self.all {
            Some(first) => first.combine(error),
            None => self.all = Some(error),
        }
    }

    /// Adds those of a part.
    pub(crate) fn extend(&mut self, others: Self) {
        self.has_unusable_type |= others.has_unusable_type;
        if let Some(error) = others.all {
            self.add(error);
        }
    }

    /// Adds one about a type that no message can carry.
    pub(crate) fn push_unusable_type(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.has_unusable_type = true;
        self.push_at(tokens, message);
    }

    /// Whether a field has a type that no message can carry.
    pub(crate) fn has_unusable_type(&self) -> bool {
        self.has_unusable_type
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_none()
    }

    /// All of them as invocations of `compile_error!`.
    pub(crate) fn into_tokens(self) -> TokenStream {
        self.all
            .map_or_else(TokenStream::new, syn::Error::into_compile_error)
    }
}

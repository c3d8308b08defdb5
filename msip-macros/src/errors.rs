//! Error collection: all mistakes of an item are reported together, and the first of very many.

use std::fmt::Display;

use msip_schema::MAX_DIAGNOSTICS;
use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

/// Mistakes found so far.
#[derive(Default)]
pub(crate) struct Errors {
    /// The first mistakes, [`MAX_DIAGNOSTICS`] of each part.
    all: Option<syn::Error>,
    /// How many there are.
    count: usize,
    /// How many of them are kept.
    kept: usize,
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
        self.count += 1;
        if self.kept < MAX_DIAGNOSTICS {
            self.kept += 1;
            self.combine(error);
        }
    }

    fn combine(&mut self, error: syn::Error) {
        match &mut self.all {
            Some(first) => first.combine(error),
            None => self.all = Some(error),
        }
    }

    /// Adds those of a part.
    pub(crate) fn extend(&mut self, others: Self) {
        self.has_unusable_type |= others.has_unusable_type;
        self.count += others.count;
        self.kept += others.kept;
        if let Some(error) = others.all {
            self.combine(error);
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
        let more = self.count - self.kept;
        let Some(mut error) = self.all else {
            return TokenStream::new();
        };
        if more > 0 {
            let last = syn::Error::new(error.span(), format!("… and {more} more"));
            error.combine(last);
        }
        error.into_compile_error()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_very_many_mistakes_a_hundred_are_reported() {
        let mut errors = Errors::default();
        for number in 0..20_000 {
            errors.push(Span::call_site(), format!("mistake {number}"));
        }
        let text = errors.into_tokens().to_string();
        assert_eq!(text.matches("compile_error").count(), 101);
        assert!(text.contains("mistake 99\"") && !text.contains("mistake 100\""));
        assert!(text.contains("… and 19900 more"), "{text}");
    }
}

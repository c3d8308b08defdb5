//! The fields of a message as the generated code refers to them.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::Field;
use syn::spanned::Spanned as _;

use crate::attributes::Options;
use crate::case::plain;
use crate::docs;

/// A field of the message, as it is declared.
pub(crate) struct Carried<'a> {
    /// Its place among the fields as they are declared.
    pub(crate) place: usize,
    pub(crate) ident: &'a Ident,
    pub(crate) name: String,
    pub(crate) options: Options,
    pub(crate) field: &'a Field,
}

/// A name of the derived code, for use at the place of a type: the type may come from another macro, which sees names of
/// its own.
pub(crate) fn local(name: &str) -> Ident {
    Ident::new(name, Span::call_site())
}

/// One field, as the generated code refers to it.
pub(crate) struct Written {
    pub(crate) place: usize,
    pub(crate) ident: Ident,
    pub(crate) slot: Ident,
    pub(crate) name: String,
    pub(crate) number: u32,
    pub(crate) doc: String,
    pub(crate) deprecated: bool,
    /// The span of its number.
    pub(crate) number_span: Span,
    /// The span of the type.
    pub(crate) span: Span,
    /// `<String as Field>`, at the span of the type, so that the errors about a type are one.
    pub(crate) field: TokenStream,
}

impl Written {
    pub(crate) fn new(field: &Carried<'_>, number: u32, container: &Options) -> Self {
        let ty = &field.field.ty;
        let runtime = &container.runtime_at(ty.span());
        let encoding = field
            .options
            .encoding
            .map(|encoding| encoding.value.marker(runtime))
            .map(|marker| quote!(<#marker>));
        Self {
            place: field.place,
            ident: field.ident.clone(),
            slot: format_ident!("slot_of_{}", plain(field.ident), span = Span::mixed_site()),
            name: field.name.clone(),
            number,
            number_span: field
                .options
                .tag
                .map_or_else(|| field.ident.span(), |tag| tag.span),
            doc: docs::text(&field.field.attrs),
            deprecated: docs::is_deprecated(&field.field.attrs),
            span: ty.span(),
            field: quote_spanned!(ty.span()=> <#ty as #runtime::describe::Field #encoding>),
        }
    }
}

/// One oneof, as the generated code refers to it.
pub(crate) struct WrittenOneof {
    pub(crate) place: usize,
    pub(crate) ident: Ident,
    pub(crate) slot: Ident,
    pub(crate) name: String,
    pub(crate) doc: String,
    /// The span of the type.
    pub(crate) span: Span,
    /// `<Option<Choice> as OneofField>`, at the span of the type.
    pub(crate) field: TokenStream,
}

impl WrittenOneof {
    pub(crate) fn new(field: &Carried<'_>, container: &Options) -> Self {
        let ty = &field.field.ty;
        let runtime = &container.runtime_at(ty.span());
        Self {
            place: field.place,
            ident: field.ident.clone(),
            slot: format_ident!("slot_of_{}", plain(field.ident), span = Span::mixed_site()),
            name: field.name.clone(),
            doc: docs::text(&field.field.attrs),
            span: ty.span(),
            field: quote_spanned!(ty.span()=> <#ty as #runtime::describe::OneofField>),
        }
    }
}

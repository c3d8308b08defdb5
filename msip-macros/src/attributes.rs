//! Attributes: the options in `#[msip(…)]`.

mod option_value;
mod place;
mod value;

use msip_schema::{Compression, MsgKind, Reply};
use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use syn::meta::ParseNestedMeta;
use syn::{Attribute, Path, Token};

use crate::case::Case;
use crate::errors::Errors;
pub(crate) use option_value::OptionValue;
pub(crate) use place::Place;
use value::Argument;
pub(crate) use value::{Encoding, Reserved};

/// The options of all kinds of `#[msip(…)]`; an absent one is not set.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) protocol: Option<OptionValue<String>>,
    pub(crate) runtime: Option<OptionValue<Path>>,
    pub(crate) rename_all: Option<OptionValue<Case>>,
    pub(crate) prefix: Option<OptionValue<String>>,
    pub(crate) reserved: Vec<Reserved>,
    pub(crate) name: Option<OptionValue<String>>,
    pub(crate) tag: Option<OptionValue<i64>>,
    pub(crate) encoding: Option<OptionValue<Encoding>>,
    pub(crate) other: Option<OptionValue<bool>>,
    pub(crate) oneof: Option<OptionValue<bool>>,
    /// Whether the oneof is written in prost's way, which is reported.
    has_foreign_oneof: bool,
    pub(crate) kind: Option<OptionValue<MsgKind>>,
    pub(crate) request_stream: Option<OptionValue<()>>,
    pub(crate) reply: Option<OptionValue<Reply>>,
    pub(crate) response: Option<OptionValue<String>>,
    pub(crate) timeout_ms: Option<OptionValue<u32>>,
    pub(crate) urgent: Option<OptionValue<bool>>,
    pub(crate) compress: Option<OptionValue<Compression>>,
    pub(crate) idempotent: Option<OptionValue<bool>>,
    pub(crate) key: Option<OptionValue<String>>,
    pub(crate) code: Option<OptionValue<String>>,
}

impl Options {
    /// Reads all `#[msip(…)]` of one item.
    pub(crate) fn read(attributes: &[Attribute], place: Place, errors: &mut Errors) -> Self {
        let mut options = Self::default();
        for attribute in attributes {
            if !attribute.path().is_ident("msip") {
                continue;
            }
            let read = attribute.parse_nested_meta(|meta| {
                let argument = Argument::parse(&meta)?;
                // A mistake in one option does not affect the next, so the list goes on.
                if let Err(error) = options.set(&meta, argument, place) {
                    errors.add(error);
                }
                Ok(())
            });
            if let Err(error) = read {
                errors.add(error);
            }
        }
        options
    }

    fn set(
        &mut self,
        meta: &ParseNestedMeta<'_>,
        argument: Argument,
        place: Place,
    ) -> syn::Result<()> {
        let name = meta
            .path
            .get_ident()
            .map(Ident::to_string)
            .unwrap_or_default();
        if place == Place::Field && name == "tags" && self.is_oneof() {
            if self.has_foreign_oneof {
                return Ok(());
            }
            return Err(syn::Error::new_spanned(
                &meta.path,
                "a oneof has no list of tags [misplaced-option]\nhelp: remove it; each variant of its enum has one",
            ));
        }
        place.allows(&name, &meta.path)?;
        let at = &meta.path;
        match name.as_str() {
            "protocol" => once(&mut self.protocol, at, argument.text(at)?),
            "crate" => once(&mut self.runtime, at, argument.path(at)?),
            "rename_all" => once(&mut self.rename_all, at, argument.one_of(at, &Case::ALL)?),
            "prefix" => once(&mut self.prefix, at, argument.text(at)?),
            "reserved" => {
                self.reserved.extend(argument.reserved(at)?);
                Ok(())
            }
            "name" => once(&mut self.name, at, argument.text(at)?),
            "tag" => once(&mut self.tag, at, argument.number(at)?),
            "as" => once(&mut self.encoding, at, argument.encoding(at)?),
            "other" => once(&mut self.other, at, argument.flag(at)?),
            "oneof" => {
                let flag = argument.flag(at).map_err(|error| {
                    self.has_foreign_oneof = true;
                    self.oneof = Some(OptionValue {
                        value: true,
                        span: error.span(),
                    });
                    syn::Error::new(
                        error.span(),
                        "a oneof is said by `oneof` alone [option-value]\nhelp: write `#[msip(oneof)]`: its enum is the type of the \
                         field, and its numbers are the tags of the enum's variants",
                    )
                })?;
                once(&mut self.oneof, at, flag)
            }
            "kind" => {
                let kinds = MsgKind::ALL.map(|kind| (kind.name(), kind));
                once(&mut self.kind, at, argument.one_of(at, &kinds)?)
            }
            "request" => {
                let shapes = [("STREAM", ())];
                once(&mut self.request_stream, at, argument.one_of(at, &shapes)?)
            }
            "reply" => {
                let replies = Reply::ALL.map(|reply| (reply.name(), reply));
                once(&mut self.reply, at, argument.one_of(at, &replies)?)
            }
            "response" => once(&mut self.response, at, argument.text(at)?),
            "timeout" => once(&mut self.timeout_ms, at, argument.duration(at)?),
            "timeout_ms" => {
                let number = argument.number(at)?;
                let value = u32::try_from(number.value).map_err(|_| {
                    syn::Error::new(
                        number.span,
                        "a time limit is 1 to 4294967295 milliseconds [option-value]",
                    )
                })?;
                once(
                    &mut self.timeout_ms,
                    at,
                    OptionValue {
                        value,
                        span: number.span,
                    },
                )
            }
            "urgent" => once(&mut self.urgent, at, argument.flag(at)?),
            "uncompressed" => {
                let flag = argument.flag(at)?;
                let value = if flag.value {
                    Compression::Never
                } else {
                    Compression::Negotiated
                };
                once(
                    &mut self.compress,
                    at,
                    OptionValue {
                        value,
                        span: flag.span,
                    },
                )
            }
            "idempotent" => once(&mut self.idempotent, at, argument.flag(at)?),
            "key" => once(&mut self.key, at, argument.text(at)?),
            "code" => once(&mut self.code, at, argument.text(at)?),
            // `allows` has rejected all other names.
            _ => Ok(()),
        }
    }

    /// The path of the runtime.
    pub(crate) fn runtime(&self) -> TokenStream {
        match &self.runtime {
            Some(path) => {
                let path = &path.value;
                quote::quote!(#path)
            }
            None => quote::quote!(::msip_runtime),
        }
    }

    /// The path of the runtime, with tokens at another span: errors about code that uses it then point there.
    pub(crate) fn runtime_at(&self, span: Span) -> TokenStream {
        let tokens = self.runtime().into_iter().map(|mut token| {
            token.set_span(span);
            token
        });
        tokens.collect()
    }

    /// Whether the field is a oneof.
    pub(crate) fn is_oneof(&self) -> bool {
        self.oneof.is_some_and(|oneof| oneof.value)
    }

    /// Whether it is the variant for values that this program does not know.
    pub(crate) fn is_other(&self) -> bool {
        self.other.is_some_and(|other| other.value)
    }
}

/// Sets a value, unless it is set already.
fn once<T>(place: &mut Option<OptionValue<T>>, at: &Path, said: OptionValue<T>) -> syn::Result<()> {
    if place.is_some() {
        let name = quote::quote!(#at).to_string();
        return Err(syn::Error::new_spanned(
            at,
            format!("`{name}` is set twice [option-value]\nhelp: remove one of the two"),
        ));
    }
    *place = Some(said);
    Ok(())
}

impl Argument {
    /// Parses what follows a name: `= value`, `(list)` or nothing. Everything up to the next comma is consumed, so that a
    /// mistake in it does not affect other options.
    fn parse(meta: &ParseNestedMeta<'_>) -> syn::Result<Self> {
        let input = meta.input;
        if input.peek(syn::token::Paren) {
            let content;
            syn::parenthesized!(content in input);
            return Ok(Self::List(content.parse()?));
        }
        if !input.peek(Token![=]) {
            return Ok(Self::None);
        }
        input.parse::<Token![=]>()?;
        let mut value = TokenStream::new();
        while !input.is_empty() && !input.peek(Token![,]) {
            value.extend([input.parse::<TokenTree>()?]);
        }
        Ok(Self::Value(value))
    }
}

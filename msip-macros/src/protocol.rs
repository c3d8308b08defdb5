//! Protocols: how the first half reaches the second, and the code for both.

use std::collections::BTreeMap;

use msip_emit::rust::{self, Target, UserEnum, items};
use msip_schema::{Direction, Draft, Schema, Spanned, TypeName};
use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned as _;
use syn::{DeriveInput, Type};

use crate::attributes::Options;
use crate::diagnose::SpanTable;
use crate::docs;
use crate::envelope::Envelope;
use crate::errors::Errors;
use crate::reserved::reserved;
use crate::siblings::Siblings;

/// The macro that carries the first half. If it is missing the compiler prints its name.
const CARRIER: &str = "an_enum_with_derive_ClientToServer_must_be_in_this_module";

/// Reads the first half, and keeps its tokens for the second.
///
/// They are in a macro with a name of its own, imported under the name that the second half uses: an import is visible
/// in its module only, while a macro would also be visible in nested modules, which may have other protocols.
pub(crate) fn first_half(tokens: TokenStream) -> TokenStream {
    let carrier = Ident::new(CARRIER, Span::call_site());
    let (envelope, errors) = match read(tokens.clone(), Direction::ClientToServer) {
        Ok(read) => read,
        Err(error) => return error.into_compile_error(),
    };
    if let Siblings::Second { first, .. } = Siblings::of(&envelope.ident, Direction::ClientToServer)
    {
        return second_protocol(&envelope.ident, &first);
    }
    let runtime = envelope.options.runtime();
    let ident = &envelope.ident;
    let describe = envelope.options.runtime_at(ident.span());
    let other_half = errors.is_empty().then(|| {
        quote_spanned!(ident.span()=> const _: () = #describe::describe::require_other_half::<#ident>();)
    });
    let errors = errors.into_tokens();
    let own = own_name(&envelope);
    quote! {
        #[doc(hidden)]
        #[allow(unused_macros)]
        macro_rules! #own { ($($second_half:tt)*) => {
            #runtime::__protocol! { { #tokens } { $($second_half)* } }
        }; }
        #[doc(hidden)]
        #[allow(unused_imports)]
        use #own as #carrier;
        #errors
        #other_half
    }
}

/// A name for the macro that is unique to the protocol.
fn own_name(envelope: &Envelope) -> Ident {
    let protocol = envelope.options.protocol.as_ref();
    let protocol = protocol.map_or("", |name| name.value.as_str());
    let words: Vec<_> = protocol
        .split(|c: char| !c.is_ascii_alphanumeric())
        .collect();
    Ident::new(
        &format!("__msip_protocol_{}", words.join("_")),
        Span::call_site(),
    )
}

/// Passes the second half to the macro of the first one.
pub(crate) fn second_half(tokens: TokenStream) -> TokenStream {
    let (envelope, errors) = match read(tokens.clone(), Direction::ServerToClient) {
        Ok(read) => read,
        Err(error) => return error.into_compile_error(),
    };
    match Siblings::of(&envelope.ident, Direction::ServerToClient) {
        // The first half reports it.
        Siblings::Second { both: true, .. } => return TokenStream::new(),
        Siblings::Second { first, .. } => return second_protocol(&envelope.ident, &first),
        Siblings::None => {}
    }
    let carrier = Ident::new(CARRIER, envelope.ident.span());
    let errors = errors.into_tokens();
    quote! {
        #errors
        #carrier! { #tokens }
    }
}

/// Reports an enum beside another one of the same direction.
fn second_protocol(ident: &Ident, first: &str) -> TokenStream {
    let mut errors = Errors::default();
    errors.push(
        ident.span(),
        format!(
            "a module has one protocol, and `{first}` is in this one already\nhelp: put the two enums of each protocol into a \
             module of their own; messages may be in any module"
        ),
    );
    errors.into_tokens()
}

/// Writes the protocol.
pub(crate) fn whole(tokens: TokenStream) -> TokenStream {
    let halves: Halves = match syn::parse2(tokens) {
        Ok(halves) => halves,
        Err(error) => return error.into_compile_error(),
    };
    let Ok((first, _)) = read(halves.first.clone(), Direction::ClientToServer) else {
        return TokenStream::new();
    };
    let runtime = first.options.runtime();
    let ident = &first.ident;
    let is_whole = quote!(impl #runtime::describe::HalfProtocol for #ident {});
    let Ok((_, second_span)) = span_of(halves.second.clone()) else {
        return is_whole;
    };
    // The tokens of the first half came through a macro, which error messages need not mention.
    let (mut first, first_errors) = match read(
        located(halves.first, second_span),
        Direction::ClientToServer,
    ) {
        Ok(first) => first,
        Err(error) => return error.into_compile_error(),
    };
    let (mut second, second_errors) = match read(halves.second, Direction::ServerToClient) {
        Ok(second) => second,
        Err(error) => return error.into_compile_error(),
    };
    let is_sound = first_errors.is_empty() && second_errors.is_empty();
    let checked = if is_sound {
        check(&first, &second)
    } else {
        // Each half has reported its mistakes, and what follows from them is none.
        Err(Errors::default())
    };
    let written = match checked {
        Ok(schema) => write(&schema, &first, &second),
        Err(errors) => {
            let errors = errors.into_tokens();
            let items = stand_in(&mut first, &mut second);
            quote!(#errors #items)
        }
    };
    quote!(#is_whole #written)
}

/// The items of a protocol with mistakes, as far as they can be told, so that code that mentions them reports nothing.
fn stand_in(first: &mut Envelope, second: &mut Envelope) -> TokenStream {
    if !(first.is_usable && second.is_usable && first.options.protocol.is_some()) {
        return TokenStream::new();
    }
    first.repair_numbers();
    second.repair_numbers();
    let schema = check(first, second).or_else(|_| {
        for member in first.members.iter_mut().chain(&mut second.members) {
            member.options = Options::default();
        }
        check(first, second)
    });
    schema.map_or_else(
        |_| TokenStream::new(),
        |schema| write(&schema, first, second),
    )
}

/// The tokens of both halves, each in braces.
struct Halves {
    first: TokenStream,
    second: TokenStream,
}

impl Parse for Halves {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let (first, second);
        syn::braced!(first in input);
        syn::braced!(second in input);
        Ok(Self {
            first: first.parse()?,
            second: second.parse()?,
        })
    }
}

fn read(tokens: TokenStream, direction: Direction) -> syn::Result<(Envelope, Errors)> {
    let item: DeriveInput = syn::parse2(tokens)?;
    let mut errors = Errors::default();
    let envelope = Envelope::read(item, direction, &mut errors);
    if direction == Direction::ClientToServer && envelope.options.protocol.is_none() {
        errors.push(
            envelope.ident.span(),
            "the protocol has no name [missing-package]\nhelp: write `#[msip(protocol = \"chat\")]` above the enum: it is what \
             peers compare first, and names the type of the protocol, `Chat`",
        );
    }
    Ok((envelope, errors))
}

/// The name of an item and its span.
fn span_of(item: TokenStream) -> syn::Result<(Ident, Span)> {
    let item: DeriveInput = syn::parse2(item)?;
    let span = item.ident.span();
    Ok((item.ident, span))
}

/// The same tokens at the same positions, with names resolved as at `like`.
fn located(tokens: TokenStream, like: Span) -> TokenStream {
    let tokens = tokens.into_iter().map(|mut token| {
        let span = token.span().resolved_at(like);
        if let TokenTree::Group(group) = &token {
            let mut inner = Group::new(group.delimiter(), located(group.stream(), like));
            inner.set_span(span);
            return TokenTree::Group(inner);
        }
        token.set_span(span);
        token
    });
    tokens.collect()
}

fn check(first: &Envelope, second: &Envelope) -> Result<Schema, Errors> {
    let mut spans = SpanTable::default();
    let package = match &first.options.protocol {
        Some(name) => Spanned::new(name.value.clone(), spans.add(name.span)),
        // Rejected before.
        None => Spanned::new(String::new(), spans.add(first.ident.span())),
    };
    let draft = Draft {
        package,
        doc: String::new(),
        client_to_server: first.draft(&mut spans),
        server_to_client: second.draft(&mut spans),
        methods: Vec::new(),
        types: msip_schema::Types::new(),
    };
    draft.check_with(rust::check).map_err(|mistakes| {
        let mut errors = Errors::default();
        spans.report(mistakes, first.ident.span(), &mut errors);
        errors
    })
}

fn write(schema: &Schema, first: &Envelope, second: &Envelope) -> TokenStream {
    let runtime = first.options.runtime();
    let mut types: BTreeMap<TypeName, &Type> = BTreeMap::new();
    for envelope in [first, second] {
        for (index, member) in envelope.members.iter().enumerate() {
            if let Some(payload) = &member.payload {
                types.insert(envelope.type_name(index), payload);
            }
        }
    }
    let type_path = |name: &TypeName| {
        types
            .get(name)
            .map_or_else(TokenStream::new, |ty| ty.to_token_stream())
    };
    // Of the module's names only those that the enums mention are known.
    let taken = |name: &str| {
        let idents = [&first.ident, &second.ident].into_iter();
        idents.clone().any(|ident| ident == name)
            || types.values().any(|ty| {
                matches!(ty, Type::Path(path) if path.path.get_ident().is_some_and(|ident| ident == name))
            })
    };
    let visibility = first.visibility.to_token_stream();
    let target = Target::new(&type_path)
        .runtime(runtime.clone())
        .visibility(visibility)
        .fingerprint(quote!(<Self as #runtime::describe::DescribeProtocol>::schema().fingerprint()))
        .descriptors(
            quote!(<Self as #runtime::describe::DescribeProtocol>::schema().descriptor_set()),
        )
        .message_sizes(
            quote!(<Self as #runtime::describe::DescribeProtocol>::schema().message_sizes()),
        )
        .taken(&taken)
        // The attribute is not found in a module without the prelude.
        .explains(false)
        .user_enum(Direction::ClientToServer, user_enum(first))
        .user_enum(Direction::ServerToClient, user_enum(second));
    let protocol = Ident::new(&target.protocol_name(schema), Span::call_site());
    let messages = requirements(&first.options, [first, second]);
    let items = items(schema, &target);
    let description = description(schema, &first.options, &protocol, [first, second]);
    // What is deprecated warns where it is used, not where it is declared.
    quote! {
        #messages
        #(#[allow(deprecated)] #items)*
        #[allow(deprecated)]
        #description
    }
}

fn user_enum(envelope: &Envelope) -> UserEnum {
    let variants = envelope.members.iter();
    let variants = variants.map(|member| (member.name.clone(), member.variant.clone()));
    UserEnum::new(envelope.ident.clone(), variants)
}

/// Checks for the compiler: payloads are messages, and keys are fields of them.
fn requirements(options: &Options, envelopes: [&Envelope; 2]) -> TokenStream {
    let members = envelopes.into_iter().flat_map(|envelope| &envelope.members);
    let checks = members.filter_map(|member| {
        let payload = member.payload.as_ref()?;
        let describe = as_message(options, payload);
        let has_key = member.options.key.as_ref().map(|key| {
            let name = &key.value;
            let runtime = options.runtime_at(key.span);
            let describe = respanned(describe.clone(), key.span);
            quote_spanned!(key.span=> #[allow(deprecated)] const _: () = #runtime::describe::require_key(#describe::FIELDS, #name);)
        });
        Some(quote! {
            #[allow(deprecated)]
            const _: &[(&str, u32, bool)] = #describe::FIELDS;
            #has_key
        })
    });
    checks.collect()
}

/// `<ConnectReq as Describe>`, at the span of the type, so that the errors about a type are one.
fn as_message(options: &Options, payload: &Type) -> TokenStream {
    let runtime = options.runtime_at(payload.span());
    quote_spanned!(payload.span()=> <#payload as #runtime::describe::Describe>)
}

/// The same tokens at another span.
fn respanned(tokens: TokenStream, span: Span) -> TokenStream {
    let tokens = tokens.into_iter().map(|mut token| {
        token.set_span(span.resolved_at(token.span()));
        token
    });
    tokens.collect()
}

/// Builds the schema on first use.
fn description(
    schema: &Schema,
    options: &Options,
    protocol: &Ident,
    envelopes: [&Envelope; 2],
) -> TokenStream {
    let runtime = &options.runtime();
    let shapes = envelopes.map(|envelope| {
        let members = schema.envelope(envelope.direction).members.iter();
        let by_name = envelope.members.iter();
        let by_name: BTreeMap<&str, _> = by_name
            .map(|written| (written.name.as_str(), written))
            .collect();
        let members = members.filter_map(|member| {
            let written = by_name.get(member.name.as_str())?;
            let doc = &written.doc;
            let deprecated = docs::last_deprecated(written.deprecated);
            Some(match &written.payload {
                Some(ty) => {
                    let describe = as_message(options, ty);
                    quote!(.member(#describe::describe(types), #doc) #deprecated)
                }
                None => quote!(.empty(#doc) #deprecated),
            })
        });
        let doc = &envelope.doc;
        let uses_types = envelope
            .members
            .iter()
            .any(|member| member.payload.is_some());
        let types = if uses_types { quote!(types) } else { quote!(_) };
        let reserved = reserved(&envelope.options.reserved);
        quote!(|#types| #runtime::describe::EnvelopeShape::new(#doc) #(#members)* #reserved)
    });
    quote! {
        impl #runtime::describe::DescribeProtocol for #protocol {
            fn schema() -> &'static #runtime::describe::DerivedSchema {
                static SCHEMA: ::std::sync::OnceLock<#runtime::describe::DerivedSchema> =
                    ::std::sync::OnceLock::new();
                SCHEMA.get_or_init(|| #runtime::describe::DerivedSchema::of::<Self>(#(#shapes),*))
            }
        }
    }
}

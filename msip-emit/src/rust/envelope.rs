//! The enum of one direction, and its encoding.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::attributes::{Docs, allow, allow_large_table, allow_long};
use super::tokens::{EnvelopeTokens, MemberTokens, ProtocolTokens, number};
use crate::plan::{KeyPlan, Shape};
use msip_schema::{Compression, Direction, MsgKind};

/// `pub enum ClientToServer { … }`, unless it is the user's.
pub(super) fn definition(
    tokens: &ProtocolTokens<'_>,
    envelope: &EnvelopeTokens<'_>,
) -> Option<TokenStream> {
    if envelope.is_user_defined {
        return None;
    }
    let visibility = &tokens.target.visibility;
    let ident = &envelope.ident;
    let doc = match (envelope.doc.is_empty(), envelope.direction) {
        (false, _) => Docs::new(&envelope.doc),
        (true, Direction::ClientToServer) => Docs::line("What a client may say."),
        (true, Direction::ServerToClient) => Docs::line("What a server may say."),
    };
    let doc = doc.attributes();
    let lints = if shares_a_word(&envelope.members) {
        quote!(clippy::large_enum_variant, clippy::enum_variant_names)
    } else {
        quote!(clippy::large_enum_variant)
    };
    let allow = allow(
        &lints,
        envelope
            .members
            .iter()
            .map(|member| member.doc.as_slice())
            .chain([envelope.doc.as_slice()]),
    );
    let variants = envelope.members.iter().map(|member| {
        let doc = Docs::new(&member.doc).attributes();
        let variant = &member.variant;
        let payload = member.payload.as_ref().map(|payload| quote!((#payload)));
        quote!(#doc #variant #payload)
    });
    Some(quote! {
        #doc
        #allow
        #[derive(Debug, Clone, PartialEq)]
        #visibility enum #ident {
            #(#variants,)*
        }
    })
}

/// Whether all variants begin, or all end, with the same word, which clippy reports for three and more.
fn shares_a_word(members: &[MemberTokens<'_>]) -> bool {
    fn first(name: &str) -> &str {
        let end = name
            .char_indices()
            .skip(1)
            .find(|(_, c)| c.is_uppercase())
            .map_or(name.len(), |(at, _)| at);
        name.get(..end).unwrap_or(name)
    }
    fn last(name: &str) -> &str {
        let start = name
            .char_indices()
            .rev()
            .find(|(_, c)| c.is_uppercase())
            .map_or(0, |(at, _)| at);
        name.get(start..).unwrap_or(name)
    }
    let names: Vec<String> = members
        .iter()
        .map(|member| member.variant.to_string())
        .collect();
    let share = |word: fn(&str) -> &str| {
        names
            .windows(2)
            .all(|pair| matches!(pair, [a, b] if word(a) == word(b)))
    };
    names.len() >= 3 && (share(first) || share(last))
}

/// `impl ClientToServer { msg_kind, variant }`
pub(super) fn methods(tokens: &ProtocolTokens<'_>, envelope: &EnvelopeTokens<'_>) -> TokenStream {
    let ProtocolTokens {
        runtime, target, ..
    } = tokens;
    let visibility = &target.visibility;
    let ident = &envelope.ident;
    let kinds = MsgKind::ALL.into_iter().filter_map(|kind| {
        let members = envelope
            .members
            .iter()
            .filter(|member| member.plan.kind == kind);
        let patterns: Vec<_> = members.map(|member| member.any_of(&quote!(Self))).collect();
        let kind = kind_path(tokens, kind);
        (!patterns.is_empty()).then(|| quote!(#(#patterns)|* => #kind))
    });
    let kinds = match_self(kinds.collect());
    let numbers = match_self(
        envelope
            .members
            .iter()
            .map(|member| {
                let pattern = member.any_of(&quote!(Self));
                let number = &member.number;
                quote!(#pattern => #number)
            })
            .collect(),
    );
    let allow = allow_long(envelope.members.len(), 1);
    quote! {
        #[allow(dead_code)]
        impl #ident {
            /// How this message is delivered.
            #[must_use]
            #allow
            #visibility const fn msg_kind(&self) -> #runtime::MsgKind {
                #kinds
            }

            /// The number of this message's member on the wire.
            #[must_use]
            #allow
            #visibility const fn variant(&self) -> u16 {
                #numbers
            }
        }
    }
}

/// `impl Envelope for ClientToServer`
pub(super) fn implementation(
    tokens: &ProtocolTokens<'_>,
    envelope: &EnvelopeTokens<'_>,
) -> TokenStream {
    let ProtocolTokens {
        protocol,
        runtime,
        schema,
        ..
    } = tokens;
    let ident = &envelope.ident;
    let full_name = format!(
        "{}.{}",
        schema.package(),
        envelope.direction.envelope_name()
    );
    let members = &envelope.members;
    let rows = members.iter().map(|member| row(tokens, member));
    let indices = match_self(
        members
            .iter()
            .enumerate()
            .map(|(index, member)| {
                let pattern = member.any_of(&quote!(Self));
                let index = Literal::usize_unsuffixed(index);
                quote!(#pattern => #index)
            })
            .collect(),
    );
    let lengths = match_self(
        members
            .iter()
            .map(|member| {
                let MemberTokens { variant, number, .. } = member;
                match member.payload {
                    Some(_) => quote!(Self::#variant(message) => #runtime::body::member_len(#number, message)),
                    None => quote!(Self::#variant => #runtime::body::unit_len(#number)),
                }
            })
            .collect(),
    );
    let encodings = match_self(
        members
            .iter()
            .map(|member| {
                let MemberTokens {
                    variant, number, ..
                } = member;
                match member.payload {
                    Some(_) => {
                        quote!(Self::#variant(message) => {
                            #runtime::body::encode_member(#number, message, buffer);
                        })
                    }
                    None => quote!(Self::#variant => {
                        #runtime::body::encode_unit(#number, buffer);
                    }),
                }
            })
            .collect(),
    );
    let unused_buffer = members.is_empty().then(|| quote!(let _ = buffer;));
    let decoding = decoding(tokens, envelope);
    let allow = allow_long(members.len(), 1);
    let allow_decode = allow_long(members.len(), 3);
    let allow_table = allow_large_table(members.len());
    quote! {
        impl #runtime::Envelope for #ident {
            #allow_table
            const VARIANTS: &'static [#runtime::Variant] = &[#(#rows,)*];

            #allow
            fn index(&self) -> usize {
                #indices
            }

            #allow
            fn encoded_len(&self) -> usize {
                #lengths
            }

            #allow
            fn encode(&self, buffer: &mut ::std::vec::Vec<u8>) {
                #unused_buffer
                #encodings
            }

            #allow_decode
            fn decode(
                variant: u16,
                body: #runtime::body::Body<'_>,
            ) -> ::core::result::Result<Self, #runtime::BodyError> {
                #decoding
            }

            fn sizes() -> ::core::option::Option<&'static #runtime::EnvelopeSizes> {
                static SIZES: #runtime::EnvelopeSizes = #runtime::EnvelopeSizes::new(
                    #full_name,
                    <#protocol as #runtime::Protocol>::descriptor_set,
                    <#protocol as #runtime::Protocol>::message_sizes,
                );
                ::core::option::Option::Some(&SIZES)
            }
        }
    }
}

fn decoding(tokens: &ProtocolTokens<'_>, envelope: &EnvelopeTokens<'_>) -> TokenStream {
    let runtime = tokens.runtime;
    if envelope.members.is_empty() {
        return quote! {
            let _ = body;
            ::core::result::Result::Err(#runtime::BodyError::unknown_variant(variant))
        };
    }
    let arms = envelope.members.iter().map(|member| {
        let MemberTokens { variant, number, .. } = member;
        match member.payload {
            Some(_) => quote!(#number => #runtime::body::decode_member(#number, body).map(Self::#variant)),
            None => quote!(#number => #runtime::body::decode_unit(#number, body).map(|()| Self::#variant)),
        }
    });
    quote! {
        match variant {
            #(#arms,)*
            unknown => ::core::result::Result::Err(#runtime::BodyError::unknown_variant(unknown)),
        }
    }
}

/// One member's row in the table of variants.
fn row(tokens: &ProtocolTokens<'_>, member: &MemberTokens<'_>) -> TokenStream {
    let runtime = tokens.runtime;
    let MemberTokens {
        number: own_number,
        plan,
        ..
    } = member;
    let name = plan.name;
    let kind = kind_path(tokens, plan.kind);
    let mut row = quote!(#runtime::Variant::new(#own_number, #name, #kind));
    match &member.shape {
        Shape::OneWay => {}
        Shape::Acknowledged => row.extend(quote!(.acknowledged())),
        Shape::Call(call) => {
            let response = &call.answer.number;
            row.extend(quote!(.call(#response)));
            if call.request_stream {
                row.extend(quote!(.request_stream()));
            }
            if call.response_stream {
                row.extend(quote!(.response_stream()));
            }
        }
        Shape::Answer => row.extend(quote!(.answer())),
    }
    if let Some(timeout) = plan.timeout {
        // The field has 32 bits: 49 days at most.
        let timeout_ms = number(
            u32::try_from(timeout.as_millis())
                .unwrap_or(u32::MAX)
                .into(),
        );
        row.extend(quote!(.timeout_ms(#timeout_ms)));
    }
    if plan.urgent {
        row.extend(quote!(.urgent()));
    }
    if plan.compress == Compression::Never {
        row.extend(quote!(.uncompressed()));
    }
    if plan.idempotent {
        row.extend(quote!(.idempotent()));
    }
    if let Some(key) = &plan.key {
        let number = key_number(tokens, member, key);
        let name = key.name;
        row.extend(quote!(.key(#name, #number)));
    }
    if let Some(code) = plan.code {
        row.extend(quote!(.code(#code)));
    }
    row
}

/// The number of the field that is a member's key: from the schema or, in a derive, from the compiler.
fn key_number(
    tokens: &ProtocolTokens<'_>,
    member: &MemberTokens<'_>,
    key: &KeyPlan<'_>,
) -> TokenStream {
    if let Some(field) = key.field {
        let number = number(field.number.into());
        return quote!(#number);
    }
    let runtime = tokens.runtime;
    let payload = &member.payload;
    let name = key.name;
    quote!(#runtime::describe::key_number(<#payload as #runtime::describe::Describe>::FIELDS, #name))
}

fn kind_path(tokens: &ProtocolTokens<'_>, kind: MsgKind) -> TokenStream {
    let runtime = tokens.runtime;
    match kind {
        MsgKind::Event => quote!(#runtime::MsgKind::Event),
        MsgKind::Command => quote!(#runtime::MsgKind::Command),
        MsgKind::State => quote!(#runtime::MsgKind::State),
        MsgKind::Log => quote!(#runtime::MsgKind::Log),
        MsgKind::Metric => quote!(#runtime::MsgKind::Metric),
    }
}

/// `match self { … }`, or `match *self {}` for an enum without variants.
fn match_self(arms: Vec<TokenStream>) -> TokenStream {
    if arms.is_empty() {
        quote!(match *self {})
    } else {
        quote!(match self { #(#arms,)* })
    }
}

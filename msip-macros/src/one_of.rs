//! Oneofs: enums with data, which are messages that hold one of their variants.

use msip_emit::rust::names as rust;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{DataEnum, DeriveInput, Fields, Type, Variant};

use crate::attributes::{Options, Place};
use crate::case::{Case, plain};
use crate::docs;
use crate::errors::Errors;
use crate::numbers::{self, Tagged};
use crate::record::{body, check_name, check_type, type_name};
use crate::reserved::{reserved, reserved_lists};

/// A variant that is on the wire.
struct Member {
    variant: Ident,
    slot: Ident,
    name: String,
    number: u32,
    options: Options,
    doc: String,
    deprecated: bool,
    /// None for a unit variant.
    ty: Option<Type>,
}

pub(crate) fn write(item: &DeriveInput, data: &DataEnum, errors: &mut Errors) -> TokenStream {
    let options = Options::read(&item.attrs, Place::OneOf, errors);
    let case = options.rename_all.map_or(Case::Snake, |case| case.value);
    let mut other: Option<Ident> = None;
    let mut members = Vec::new();
    for variant in &data.variants {
        let said = Options::read(&variant.attrs, Place::OneOfMember, errors);
        if said.is_other() {
            check_other(variant, &said, other.is_some(), errors);
            other = Some(variant.ident.clone());
        } else {
            members.push(Member::read(members.len(), variant, said, case, errors));
        }
    }
    let tagged: Vec<_> = members
        .iter()
        .map(|member| Tagged {
            name: &member.name,
            span: member.variant.span(),
            tag: member.options.tag,
        })
        .collect();
    let numbers = numbers::fields(&tagged, &options.reserved, rust::type_name, errors);
    for (member, number) in members.iter_mut().zip(numbers) {
        member.number = number;
    }
    let short = type_name(item, &options, errors);
    emit(item, &options, &short, &members, other.as_ref())
}

fn check_other(variant: &Variant, options: &Options, is_second: bool, errors: &mut Errors) {
    if is_second {
        errors.push_at(&variant.ident, "one variant is enough for all that is not known\nhelp: remove `other` from one of them");
    }
    if !matches!(variant.fields, Fields::Unit) {
        errors.push_at(
            &variant.fields,
            "what is not known cannot be kept\nhelp: write the variant with `#[msip(other)]` without data",
        );
    }
    if let Some(tag) = options.tag {
        errors.push(tag.span, "what is not known has no tag\nhelp: remove it");
    }
}

impl Member {
    fn read(
        index: usize,
        variant: &Variant,
        options: Options,
        case: Case,
        errors: &mut Errors,
    ) -> Self {
        let name = options.name.as_ref().map_or_else(
            || case.apply(&plain(&variant.ident)),
            |name| name.value.clone(),
        );
        check_name(
            &name,
            options
                .name
                .as_ref()
                .map_or(variant.ident.span(), |name| name.span),
            errors,
        );
        if let Some((_, number)) = &variant.discriminant {
            errors.push_at(number, "numbers of variants with data are tags\nhelp: write `#[msip(tag = …)]` above the variant");
        }
        let ident = &variant.ident;
        let ty = match &variant.fields {
            Fields::Unit => None,
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                fields.unnamed.first().map(|field| field.ty.clone())
            }
            fields => {
                errors.push_at(
                    fields,
                    format!(
                        "a variant carries one value\nhelp: declare `#[derive(Message)] struct {ident} {{ … }}` with these fields, and \
                         write `{ident}({ident})`"
                    ),
                );
                None
            }
        };
        if let Some(ty) = &ty {
            check_type(ty, errors);
        } else if let Some(encoding) = options.encoding {
            errors.push(
                encoding.span,
                "a variant without data has no encoding [misplaced-option]\nhelp: remove `as`",
            );
        }
        Self {
            variant: ident.clone(),
            slot: format_ident!("slot_{index}", span = Span::mixed_site()),
            name,
            number: 0,
            doc: docs::text(&variant.attrs),
            deprecated: docs::is_deprecated(&variant.attrs),
            options,
            ty,
        }
    }

    /// `<Circle as Value>`
    fn value(&self, container: &Options) -> Option<TokenStream> {
        let ty = self.ty.as_ref()?;
        let runtime = &container.runtime_at(ty.span());
        let encoding = self
            .options
            .encoding
            .map(|encoding| encoding.value.marker(runtime))
            .map(|marker| quote!(<#marker>));
        Some(quote_spanned!(ty.span()=> <#ty as #runtime::describe::Value #encoding>))
    }
}

/// A name for the oneof that no member has.
fn oneof_name(members: &[Member]) -> String {
    let mut name = "variant".to_owned();
    while members.iter().any(|member| member.name == name) {
        name.push('_');
    }
    name
}

fn emit(
    item: &DeriveInput,
    options: &Options,
    short: &str,
    members: &[Member],
    other: Option<&Ident>,
) -> TokenStream {
    let ident = &item.ident;
    let runtime = options.runtime();
    let doc = docs::text(&item.attrs);
    let deprecated = docs::deprecated(&item.attrs);
    let oneof = oneof_name(members);
    let encoding = encoding(options, members, other);
    let as_oneof = as_oneof(item, options, members, other);
    let body = body(ident, &runtime);
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl #runtime::describe::Describe for #ident {
            const FIELDS: &'static [(&'static str, u32, bool)] =
                <Self as #runtime::describe::Oneof>::MEMBERS;

            fn describe(types: &mut #runtime::describe::Registry) -> #runtime::describe::ValueType {
                types.message::<Self>(#short, |types| {
                    let shape = #runtime::describe::MessageShape::new(#doc) #deprecated;
                    <Self as #runtime::describe::Oneof>::describe_members(shape, types, #oneof)
                })
            }

            #encoding

            fn read(
                reader: &mut #runtime::describe::Reader<'_>,
            ) -> ::core::result::Result<Self, #runtime::describe::Malformed> {
                #runtime::describe::read_oneof(reader)
            }
        }

        #body
        #as_oneof
    }
}

/// `fn encoded_len` and `fn encode`
fn encoding(options: &Options, members: &[Member], other: Option<&Ident>) -> TokenStream {
    let runtime = options.runtime();
    let lengths = members.iter().map(|member| {
        let Member {
            variant, number, ..
        } = member;
        match member.value(options) {
            Some(value) => quote!(Self::#variant(value) => #value::member_len(value, #number),),
            None => quote!(Self::#variant => #runtime::describe::empty_len(#number),),
        }
    });
    let encodings = members.iter().map(|member| {
        let Member {
            variant, number, ..
        } = member;
        match member.value(options) {
            Some(value) => {
                quote!(Self::#variant(value) => #value::encode_member(value, #number, buffer),)
            }
            None => quote!(Self::#variant => #runtime::describe::encode_empty(#number, buffer),),
        }
    });
    let other_len = other.map(|other| quote!(Self::#other => 0,));
    let other_encoding = other.map(|other| quote!(Self::#other => {}));
    let unused_buffer = members.is_empty().then(|| quote!(let _ = buffer;));
    quote! {
        fn encoded_len(&self) -> usize {
            match self {
                #(#lengths)*
                #other_len
            }
        }

        fn encode(&self, buffer: &mut ::std::vec::Vec<u8>) {
            #unused_buffer
            match self {
                #(#encodings)*
                #other_encoding
            }
        }
    }
}

/// `impl Oneof`, with the slots that it decodes into.
fn as_oneof(
    item: &DeriveInput,
    options: &Options,
    members: &[Member],
    other: Option<&Ident>,
) -> TokenStream {
    let ident = &item.ident;
    let runtime = options.runtime();
    let table = members.iter().map(|member| {
        let Member { name, number, .. } = member;
        match member.value(options) {
            Some(value) => quote!((#name, #number, #value::MAY_BE_KEY)),
            None => quote!((#name, #number, false)),
        }
    });
    let (numbers, names) = reserved_lists(&options.reserved);
    let shapes = members.iter().map(|member| {
        let Member {
            name, number, doc, ..
        } = member;
        let deprecated = docs::last_deprecated(member.deprecated);
        match member.value(options) {
            Some(value) => quote! {
                .member(#name, #number, #value::describe(types), oneof, #doc) #deprecated
            },
            None => quote!(.empty_member(#name, #number, oneof, #doc) #deprecated),
        }
    });
    let reserved = reserved(&options.reserved);
    // The struct of the slots has a parameter for each, so that it is no second place for an error about a type.
    let held = members.iter().filter(|member| member.ty.is_some());
    let slots: Vec<_> = held.clone().map(|member| &member.slot).collect();
    let parameters: Vec<_> = (0..slots.len())
        .map(|index| format_ident!("S{index}"))
        .collect();
    let initial = held.clone().filter_map(|member| member.value(options));
    let slot_types = held.filter_map(|member| {
        let value = member.value(options)?;
        Some(quote_spanned!(member.ty.span()=> #value::Slot<'a>))
    });
    let reading = reading(options, members);
    let finishing = finishing(options, members);
    let name = plain(ident);
    let unset = match other {
        Some(other) => quote!(::core::result::Result::Ok(Self::#other)),
        None => {
            quote!(::core::result::Result::Err(#runtime::describe::Malformed::no_variant(#name)))
        }
    };
    quote! {
        const _: () = {
            /// The number of the last member, and what each has been decoded to.
            #[allow(deprecated, missing_debug_implementations, unreachable_pub)]
            pub struct __MsipSlots<#(#parameters),*> {
                last: u32,
                #(#slots: #parameters,)*
            }

            #[automatically_derived]
            #[allow(deprecated)]
            impl #runtime::describe::Oneof for #ident {
                type Slots<'a> = __MsipSlots<#(#slot_types),*>;
                const MEMBERS: &'static [(&'static str, u32, bool)] = &[#(#table),*];
                const RESERVED_NUMBERS: &'static [(u32, u32)] = #numbers;
                const RESERVED_NAMES: &'static [&'static str] = #names;

                fn slots<'a>() -> Self::Slots<'a> {
                    __MsipSlots {
                        last: 0,
                        #(#slots: #initial::slot(),)*
                    }
                }

                #[allow(unused_variables)]
                fn describe_members(
                    shape: #runtime::describe::MessageShape,
                    types: &mut #runtime::describe::Registry,
                    oneof: &str,
                ) -> #runtime::describe::MessageShape {
                    shape #(#shapes)* #reserved
                }

                #[allow(unused_variables)]
                fn read_member<'a>(
                    slots: &mut Self::Slots<'a>,
                    key: #runtime::describe::Key,
                    reader: &mut #runtime::describe::Reader<'a>,
                ) -> ::core::result::Result<bool, #runtime::describe::Malformed> {
                    #reading
                }

                #[allow(unused_variables)]
                fn finish_members(
                    slots: Self::Slots<'_>,
                    reader: &#runtime::describe::Reader<'_>,
                ) -> ::core::result::Result<
                    ::core::option::Option<Self>,
                    #runtime::describe::Malformed,
                > {
                    #finishing
                }

                fn unset() -> ::core::result::Result<Self, #runtime::describe::Malformed> {
                    #unset
                }
            }
        };
    }
}

/// The last member on the wire counts; several occurrences of it in a row are merged.
fn reading(options: &Options, members: &[Member]) -> TokenStream {
    let runtime = &options.runtime();
    let arms = members.iter().map(|member| {
        let Member {
            number, slot, name, ..
        } = member;
        match member.value(options) {
            Some(value) => quote! {
                #number => {
                    if slots.last != #number {
                        slots.#slot = #value::slot();
                        slots.last = #number;
                    }
                    #value::read_as(#name, &mut slots.#slot, key, reader)?;
                }
            },
            None => quote! {
                #number => {
                    #runtime::describe::read_empty(#name, key, reader)?;
                    slots.last = #number;
                }
            },
        }
    });
    quote! {
        match key.number() {
            #(#arms)*
            _ => return ::core::result::Result::Ok(false),
        }
        ::core::result::Result::Ok(true)
    }
}

fn finishing(options: &Options, members: &[Member]) -> TokenStream {
    let arms = members.iter().map(|member| {
        let Member {
            variant,
            number,
            slot,
            name,
            ..
        } = member;
        match member.value(options) {
            Some(value) => {
                quote!(#number => Self::#variant(#value::finish_as(#name, slots.#slot, reader)?),)
            }
            None => quote!(#number => Self::#variant,),
        }
    });
    quote! {
        ::core::result::Result::Ok(::core::option::Option::Some(match slots.last {
            #(#arms)*
            _ => return ::core::result::Result::Ok(::core::option::Option::None),
        }))
    }
}

//! Messages: structs with named fields.

use std::collections::BTreeMap;

use msip_emit::rust::names::field_name;
use msip_schema::is_identifier;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::punctuated::Punctuated;
use syn::{DeriveInput, Field, Token};

use crate::attributes::{Options, Place, Reserved};
use crate::case::{Case, plain};
use crate::envelope::shown;
use crate::errors::Errors;
use crate::numbers::{self, Tagged};
use crate::reserved::reserved;
use crate::written::{Carried, Written, WrittenOneof, local};
use crate::{advice, docs, oneof_field};

pub(crate) fn write(
    item: &DeriveInput,
    fields: &Punctuated<Field, Token![,]>,
    errors: &mut Errors,
) -> TokenStream {
    let options = Options::read(&item.attrs, Place::Message, errors);
    let case = options.rename_all.map(|case| case.value);
    let fields: Vec<_> = (0..)
        .zip(fields)
        .filter_map(|(place, field)| carried(place, field, case, errors))
        .collect();
    // The numbers and names of a oneof's members are those of its enum.
    let (oneofs, fields): (Vec<_>, Vec<_>) =
        fields.iter().partition(|field| field.options.is_oneof());
    let tagged: Vec<_> = fields
        .iter()
        .map(|field| Tagged {
            name: &field.name,
            span: field.ident.span(),
            tag: field.options.tag,
        })
        .collect();
    let numbers = numbers::fields(&tagged, &options.reserved, field_name, errors);
    let short = type_name(item, &options, errors);
    let runtime = options.runtime();
    let mut fields: Vec<_> = fields
        .into_iter()
        .zip(numbers)
        .map(|(field, number)| Written::new(field, number, &options))
        .collect();
    // They are written in this order, as prost does.
    fields.sort_by_key(|field| field.number);
    let oneofs: Vec<_> = oneofs
        .into_iter()
        .map(|field| WrittenOneof::new(field, &options))
        .collect();
    Shape {
        ident: &item.ident,
        short,
        doc: docs::text(&item.attrs),
        deprecated: docs::deprecated(&item.attrs),
        reserved: &options.reserved,
        runtime,
    }
    .write(&fields, &oneofs)
}

fn carried<'a>(
    place: usize,
    field: &'a Field,
    case: Option<Case>,
    errors: &mut Errors,
) -> Option<Carried<'a>> {
    let options = Options::read(&field.attrs, Place::Field, errors);
    let ident = field.ident.as_ref()?;
    let own = plain(ident);
    let name = match (&options.name, case) {
        (Some(name), _) => name.value.clone(),
        (None, Some(case)) => case.apply(&own),
        (None, None) => own,
    };
    check_name(
        &name,
        options.name.as_ref().map_or(ident.span(), |name| name.span),
        errors,
    );
    check_type(&field.ty, errors);
    if options.is_oneof() {
        oneof_field::check_options(&options, errors);
    }
    Some(Carried {
        place,
        ident,
        name,
        options,
        field,
    })
}

/// Reports a name that is not an identifier in `.proto` files.
pub(crate) fn check_name(name: &str, span: Span, errors: &mut Errors) {
    if !is_identifier(name) {
        errors.push(
            span,
            format!(
                "`{name}` is not an identifier in every language [invalid-name]\nhelp: write `#[msip(name = \"…\")]` with ASCII \
                 letters, digits and `_`, not beginning with a digit and not `_` alone"
            ),
        );
    }
}

/// Reports a type that messages cannot carry, if there is better advice than the compiler's.
pub(crate) fn check_type(ty: &syn::Type, errors: &mut Errors) {
    if let Some((at, advice)) = advice::instead_of(ty) {
        let text = format!(
            "`{}` cannot be carried in a message\nhelp: {advice}",
            shown(at)
        );
        if advice::may_fail_bounds(at) {
            errors.push_unusable_type(at, text);
        } else {
            errors.push_at(at, text);
        }
    }
}

/// The short name of a type in the schema.
pub(crate) fn type_name(item: &DeriveInput, options: &Options, errors: &mut Errors) -> String {
    let name = options
        .name
        .as_ref()
        .map_or_else(|| plain(&item.ident), |name| name.value.clone());
    check_name(
        &name,
        options
            .name
            .as_ref()
            .map_or(item.ident.span(), |name| name.span),
        errors,
    );
    if matches!(name.as_str(), "ClientToServer" | "ServerToClient") {
        errors.push(
            item.ident.span(),
            format!("`{name}` is an envelope of the protocol, so no message is called so [reserved-name]\nhelp: derive `{name}` \
                     on the enum, or write `#[msip(name = \"…\")]`"),
        );
    }
    name
}

/// The message that has the fields.
struct Shape<'a> {
    ident: &'a Ident,
    short: String,
    doc: String,
    deprecated: Option<TokenStream>,
    reserved: &'a [Reserved],
    runtime: TokenStream,
}

impl Shape<'_> {
    fn write(&self, fields: &[Written], oneofs: &[WrittenOneof]) -> TokenStream {
        let Self {
            ident,
            short,
            doc,
            deprecated,
            runtime,
            ..
        } = self;
        let table = self.table(fields, oneofs);
        let shapes = fields.iter().map(
            |Written {
                 place,
                 name,
                 number,
                 doc,
                 deprecated,
                 field,
                 ..
             }| {
                let deprecated = docs::last_deprecated(*deprecated);
                let shape = quote!(.field(#name, #number, #field::shape(types), #doc) #deprecated);
                (*place, shape)
            },
        );
        let oneof_shapes = oneofs.iter().map(
            |WrittenOneof {
                 place,
                 name,
                 doc,
                 field,
                 ..
             }| {
                let members = quote!(|shape, oneof| #field::describe_members(shape, types, oneof));
                (*place, quote!(.oneof(#name, #doc, #members)))
            },
        );
        // A schema keeps the order of the declaration.
        let shapes: BTreeMap<usize, TokenStream> = shapes.chain(oneof_shapes).collect();
        let shapes = shapes.values();
        let reserved = reserved(self.reserved);
        let types = if fields.is_empty() && oneofs.is_empty() {
            quote!(_)
        } else {
            quote!(types)
        };
        let encoding = if oneofs.is_empty() {
            encoding(fields)
        } else {
            oneof_field::encoding(fields, oneofs, runtime)
        };
        let checks = oneof_field::checks(fields, oneofs, self.reserved, runtime);
        let reading = self.reading(fields, oneofs);
        let body = body(ident, runtime);
        quote! {
            #[automatically_derived]
            #[allow(deprecated)]
            impl #runtime::describe::Describe for #ident {
                const FIELDS: &'static [(&'static str, u32, bool)] = #table;

                fn describe(types: &mut #runtime::describe::Registry) -> #runtime::describe::ValueType {
                    types.message::<Self>(#short, |#types| {
                        #runtime::describe::MessageShape::new(#doc) #deprecated #(#shapes)* #reserved
                    })
                }

                #encoding

                fn read(
                    reader: &mut #runtime::describe::Reader<'_>,
                ) -> ::core::result::Result<Self, #runtime::describe::Malformed> {
                    #reading
                }
            }

            #checks
            #body
        }
    }

    /// The names and numbers of all fields, members of oneofs included.
    fn table(&self, fields: &[Written], oneofs: &[WrittenOneof]) -> TokenStream {
        let runtime = &self.runtime;
        let entries = fields.iter().map(
            |Written {
                 name,
                 number,
                 field,
                 ..
             }| quote!((#name, #number, #field::MAY_BE_KEY)),
        );
        if oneofs.is_empty() {
            return quote!(&[#(#entries),*]);
        }
        let count = fields.len();
        let members: Vec<_> = oneofs.iter().map(|oneof| &oneof.field).collect();
        quote! {
            &#runtime::describe::all_fields::<{ #count #(+ #members::MEMBERS.len())* }>(
                &[&[#(#entries),*], #(#members::MEMBERS),*],
            )
        }
    }

    fn reading(&self, fields: &[Written], oneofs: &[WrittenOneof]) -> TokenStream {
        let (key, reader) = (&local("key"), &local("reader"));
        let slots = fields.iter().map(
            |Written {
                 slot, field, span, ..
             }| { quote_spanned!(*span=> let mut #slot = #field::slot();) },
        );
        let oneof_slots = oneofs.iter().map(
            |WrittenOneof {
                 slot, field, span, ..
             }| {
                quote_spanned! {*span=>
                    let mut #slot = #field::slots();
                }
            },
        );
        let arms = fields.iter().map(
            |Written {
                 slot,
                 number,
                 name,
                 field,
                 span,
                 ..
             }| {
                quote_spanned!(*span=> #number => #field::read_as(#name, &mut #slot, #key, #reader)?,)
            },
        );
        let values = fields.iter().map(
            |Written {
                 ident,
                 slot,
                 name,
                 field,
                 span,
                 ..
             }| {
                quote_spanned!(*span=> #ident: #field::finish_as(#name, #slot, #reader)?,)
            },
        );
        let oneof_values = oneofs.iter().map(
            |WrittenOneof {
                 ident,
                 slot,
                 name,
                 field,
                 span,
                 ..
             }| {
                quote_spanned!(*span=> #ident: #field::finish_as(#name, #slot, #reader)?,)
            },
        );
        let unknown = if oneofs.is_empty() {
            quote!(reader.skip(key)?)
        } else {
            let attempts = oneofs.iter().map(|WrittenOneof { slot, field, .. }| {
                quote!(#field::read_member(&mut #slot, key, reader)?)
            });
            quote! {
                if !(#(#attempts)||*) {
                    reader.skip(key)?;
                }
            }
        };
        let step = if fields.is_empty() {
            quote!(#unknown;)
        } else {
            quote! {
                match key.number() {
                    #(#arms)*
                    _ => { #unknown }
                }
            }
        };
        quote! {
            #(#slots)*
            #(#oneof_slots)*
            while let ::core::option::Option::Some(key) = reader.key()? {
                #step
            }
            ::core::result::Result::Ok(Self { #(#values)* #(#oneof_values)* })
        }
    }
}

/// `fn encoded_len` and `fn encode`
fn encoding(fields: &[Written]) -> TokenStream {
    let lengths = fields.iter().map(
        |Written {
             ident,
             number,
             field,
             ..
         }| { quote!(#field::len(&self.#ident, #number)) },
    );
    let lengths = if fields.is_empty() {
        quote!(0)
    } else {
        quote!(#(#lengths)+*)
    };
    let encodings = fields.iter().map(
        |Written {
             ident,
             number,
             field,
             ..
         }| { quote!(#field::encode(&self.#ident, #number, buffer);) },
    );
    let unused_buffer = fields.is_empty().then(|| quote!(let _ = buffer;));
    quote! {
        fn encoded_len(&self) -> usize {
            #lengths
        }

        fn encode(&self, buffer: &mut ::std::vec::Vec<u8>) {
            #unused_buffer
            #(#encodings)*
        }
    }
}

/// Implements the runtime's `Message`: the encoding as a body.
pub(crate) fn body(ident: &Ident, runtime: &TokenStream) -> TokenStream {
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl #runtime::body::Message for #ident {
            fn body_len(&self) -> usize {
                #runtime::describe::Describe::encoded_len(self)
            }

            fn encode_body(&self, buffer: &mut ::std::vec::Vec<u8>) {
                #runtime::describe::Describe::encode(self, buffer);
            }

            fn decode_body(
                body: #runtime::body::Body<'_>,
            ) -> ::core::result::Result<Self, ::std::string::String> {
                #runtime::describe::decode(body)
            }
        }
    }
}

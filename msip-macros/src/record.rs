//! Messages: structs with named fields.

use msip_schema::is_identifier;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::{DeriveInput, Field, Token};

use crate::attributes::{Options, Place, Reserved};
use crate::case::{Case, plain};
use crate::envelope::shown;
use crate::errors::Errors;
use crate::numbers::{self, Tagged};
use crate::{advice, docs};

/// A field of the message.
struct Carried<'a> {
    ident: &'a Ident,
    name: String,
    options: Options,
    field: &'a Field,
}

pub(crate) fn write(
    item: &DeriveInput,
    fields: &Punctuated<Field, Token![,]>,
    errors: &mut Errors,
) -> TokenStream {
    let options = Options::read(&item.attrs, Place::Message, errors);
    let case = options.rename_all.map(|case| case.value);
    let fields: Vec<_> = fields
        .iter()
        .filter_map(|field| carried(field, case, errors))
        .collect();
    let tagged: Vec<_> = fields
        .iter()
        .map(|field| Tagged {
            name: &field.name,
            span: field.ident.span(),
            tag: field.options.tag,
        })
        .collect();
    let numbers = numbers::fields(&tagged, &options.reserved, errors);
    let short = type_name(item, &options, errors);
    let runtime = options.runtime();
    let fields: Vec<_> = fields
        .iter()
        .zip(numbers)
        .map(|(field, number)| Written::new(field, number, &options))
        .collect();
    Shape {
        ident: &item.ident,
        short,
        doc: docs::text(&item.attrs),
        deprecated: docs::deprecated(&item.attrs),
        reserved: &options.reserved,
        runtime,
    }
    .write(&fields)
}

fn carried<'a>(field: &'a Field, case: Option<Case>, errors: &mut Errors) -> Option<Carried<'a>> {
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
    Some(Carried {
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
        errors.push_unusable_type(
            at,
            format!(
                "`{}` cannot be carried in a message\nhelp: {advice}",
                shown(at)
            ),
        );
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

/// One field, as the generated code refers to it.
struct Written {
    ident: Ident,
    slot: Ident,
    name: String,
    number: u32,
    doc: String,
    deprecated: bool,
    /// The span of the type.
    span: Span,
    /// `<String as Field>`, at the span of the type, so that the errors about a type are one.
    field: TokenStream,
}

impl Written {
    fn new(field: &Carried<'_>, number: u32, container: &Options) -> Self {
        let ty = &field.field.ty;
        let runtime = &container.runtime_at(ty.span());
        let encoding = field
            .options
            .encoding
            .map(|encoding| encoding.value.marker(runtime))
            .map(|marker| quote!(<#marker>));
        Self {
            ident: field.ident.clone(),
            slot: format_ident!("slot_of_{}", plain(field.ident), span = Span::mixed_site()),
            name: field.name.clone(),
            number,
            doc: docs::text(&field.field.attrs),
            deprecated: docs::is_deprecated(&field.field.attrs),
            span: ty.span(),
            field: quote_spanned!(ty.span()=> <#ty as #runtime::describe::Field #encoding>),
        }
    }
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
    fn write(&self, fields: &[Written]) -> TokenStream {
        let Self {
            ident,
            short,
            doc,
            deprecated,
            runtime,
            ..
        } = self;
        let table = fields.iter().map(
            |Written {
                 name,
                 number,
                 field,
                 ..
             }| quote!((#name, #number, #field::MAY_BE_KEY)),
        );
        let shapes = fields.iter().map(
            |Written {
                 name,
                 number,
                 doc,
                 deprecated,
                 field,
                 ..
             }| {
                let deprecated = docs::last_deprecated(*deprecated);
                quote!(.field(#name, #number, #field::shape(types), #doc) #deprecated)
            },
        );
        let reserved = reserved(self.reserved);
        let types = if fields.is_empty() {
            quote!(_)
        } else {
            quote!(types)
        };
        let encoding = encoding(fields);
        let reading = self.reading(fields);
        let body = body(ident, runtime);
        quote! {
            #[automatically_derived]
            #[allow(deprecated)]
            impl #runtime::describe::Describe for #ident {
                const FIELDS: &'static [(&'static str, u32, bool)] = &[#(#table),*];

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

            #body
        }
    }

    fn reading(&self, fields: &[Written]) -> TokenStream {
        let slots = fields.iter().map(
            |Written {
                 slot, field, span, ..
             }| { quote_spanned!(*span=> let mut #slot = #field::slot();) },
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
                quote_spanned!(*span=> #number => #field::read_as(#name, &mut #slot, key, reader)?,)
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
                quote_spanned!(*span=> #ident: #field::finish_as(#name, #slot, reader)?,)
            },
        );
        let step = if fields.is_empty() {
            quote!(reader.skip(key)?;)
        } else {
            quote! {
                match key.number() {
                    #(#arms)*
                    _ => reader.skip(key)?,
                }
            }
        };
        quote! {
            #(#slots)*
            while let ::core::option::Option::Some(key) = reader.key()? {
                #step
            }
            ::core::result::Result::Ok(Self { #(#values)* })
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

/// `.reserved(3, 3).reserved_name("old")`
pub(crate) fn reserved(reserved: &[Reserved]) -> TokenStream {
    let calls = reserved.iter().map(|entry| match entry {
        Reserved::Numbers(numbers) => {
            // `reserved` takes numbers of 29 bits.
            let first = u32::try_from(numbers.value.0).unwrap_or(0);
            let last = u32::try_from(numbers.value.1.min(numbers::LARGEST)).unwrap_or(0);
            quote!(.reserved(#first, #last))
        }
        Reserved::Name(name) => {
            let name = &name.value;
            quote!(.reserved_name(#name))
        }
    });
    calls.collect()
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

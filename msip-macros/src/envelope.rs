//! Envelopes: the two enums of a protocol.

use std::collections::BTreeSet;

use msip_schema::{
    Direction, DraftEnvelope, DraftMember, MemberOptions, Payload, Reserved, Spanned, TypeName,
};
use proc_macro2::Ident;
use quote::ToTokens as _;
use syn::spanned::Spanned as _;
use syn::{Data, DeriveInput, Fields, Type, Variant, Visibility};

use crate::attributes::{OptionValue, Options, Place};
use crate::case::{Case, plain};
use crate::diagnose::SpanTable;
use crate::errors::Errors;
use crate::numbers::{self, Tagged};
use crate::{advice, docs};

/// An enum with `#[derive(ClientToServer)]` or `#[derive(ServerToClient)]`.
pub(crate) struct Envelope {
    pub(crate) direction: Direction,
    pub(crate) ident: Ident,
    pub(crate) visibility: Visibility,
    pub(crate) doc: String,
    pub(crate) options: Options,
    pub(crate) members: Vec<Member>,
    /// Whether code can be generated for it: it is an enum, and each variant carries a message or nothing.
    pub(crate) is_usable: bool,
}

/// A variant of it.
pub(crate) struct Member {
    pub(crate) variant: Ident,
    /// The name in the schema.
    pub(crate) name: String,
    pub(crate) number: u32,
    pub(crate) doc: String,
    pub(crate) deprecated: bool,
    /// The message; none for a unit variant.
    pub(crate) payload: Option<Type>,
    /// Whether it carries a message or nothing, as far as can be seen.
    is_usable: bool,
    pub(crate) options: Options,
}

impl Envelope {
    /// Reads an item, and reports its own mistakes.
    pub(crate) fn read(item: DeriveInput, direction: Direction, errors: &mut Errors) -> Self {
        let place = match direction {
            Direction::ClientToServer => Place::ClientToServer,
            Direction::ServerToClient => Place::ServerToClient,
        };
        let options = Options::read(&item.attrs, place, errors);
        let derive = direction.envelope_name();
        let mut is_usable = item.generics.params.is_empty();
        if !item.generics.params.is_empty() {
            errors.push_at(
                &item.generics,
                "a protocol has no parameters\nhelp: name the types that its messages carry",
            );
        }
        let variants = match item.data {
            Data::Enum(data) => data.variants.into_iter().collect(),
            Data::Struct(_) | Data::Union(_) => {
                is_usable = false;
                errors.push_at(
                    &item.ident,
                    format!(
                        "`#[derive({derive})]` belongs on an enum, with one variant for each message\nhelp: put \
                         `#[derive(Message)]` on structs that are carried"
                    ),
                );
                Vec::new()
            }
        };
        let case = options.rename_all.map_or(Case::Snake, |case| case.value);
        let mut members: Vec<_> = variants
            .into_iter()
            .map(|variant| Member::read(variant, case, errors))
            .collect();
        let tagged: Vec<_> = members
            .iter()
            .map(|member| Tagged {
                name: &member.name,
                span: member.variant.span(),
                tag: member.options.tag,
            })
            .collect();
        let numbers = numbers::members(&tagged, &options.reserved, errors);
        for (member, number) in members.iter_mut().zip(numbers) {
            member.number = number;
        }
        Self {
            direction,
            ident: item.ident,
            visibility: item.vis,
            doc: docs::text(&item.attrs),
            options,
            is_usable: is_usable && members.iter().all(|member| member.is_usable),
            members,
        }
    }

    /// Gives a number to each member that has none of its own, so that code can be generated in spite of it.
    pub(crate) fn repair_numbers(&mut self) {
        let mut taken = BTreeSet::from([0]);
        let mut next = 1;
        for member in &mut self.members {
            if u16::try_from(member.number).is_err() || !taken.insert(member.number) {
                member.number = 0;
            }
        }
        for member in &mut self.members {
            while member.number == 0 {
                if taken.insert(next) {
                    member.number = next;
                }
                next += 1;
            }
        }
    }

    /// The draft of the envelope.
    pub(crate) fn draft(&self, spans: &mut SpanTable) -> DraftEnvelope {
        let members = self.members.iter().enumerate();
        let members = members
            .map(|(index, member)| member.draft(self.type_name(index), spans))
            .collect();
        DraftEnvelope {
            span: spans.add(self.ident.span()),
            doc: self.doc.clone(),
            members,
            // Checked here; the program itself adds them to the schema.
            reserved: Reserved::default(),
        }
    }

    /// A name for the type of the member at an index, since only the compiler knows the type.
    pub(crate) fn type_name(&self, index: usize) -> TypeName {
        TypeName::new(format!("{}.{index}", self.direction.envelope_name()))
    }
}

impl Member {
    fn read(variant: Variant, case: Case, errors: &mut Errors) -> Self {
        let options = Options::read(&variant.attrs, Place::Member, errors);
        if let Some((_, number)) = &variant.discriminant {
            let shown = number.to_token_stream().to_string();
            errors.push_at(
                number,
                format!("numbers of a protocol's variants are tags\nhelp: write `#[msip(tag = {shown})]` above the variant"),
            );
        }
        let name = match &options.name {
            Some(name) => name.value.clone(),
            None => case.apply(&plain(&variant.ident)),
        };
        let mut payload_errors = Errors::default();
        let payload = payload(&variant, &mut payload_errors);
        let is_usable = payload_errors.is_empty();
        errors.extend(payload_errors);
        Self {
            doc: docs::text(&variant.attrs),
            deprecated: docs::is_deprecated(&variant.attrs),
            variant: variant.ident,
            name,
            number: 0,
            payload,
            is_usable,
            options,
        }
    }

    fn draft(&self, ty: TypeName, spans: &mut SpanTable) -> DraftMember {
        let variant = spans.add(self.variant.span());
        let name = self
            .options
            .name
            .as_ref()
            .map_or(variant, |name| spans.add(name.span));
        let tag = self.options.tag.map_or(variant, |tag| spans.add(tag.span));
        let payload = match &self.payload {
            Some(payload) => Spanned::new(Payload::Message(ty), spans.add(payload.span())),
            None => Spanned::new(Payload::Empty, variant),
        };
        let mut said = Translate { spans };
        let options = &self.options;
        let options = MemberOptions {
            kind: said.copied(options.kind),
            request_stream: said.copied(options.request_stream).map(|said| said.span),
            reply: said.copied(options.reply),
            response: said.text(options.response.as_ref()),
            timeout_ms: said.copied(options.timeout_ms),
            urgent: said.copied(options.urgent),
            compress: said.copied(options.compress),
            idempotent: said.copied(options.idempotent),
            key: said.text(options.key.as_ref()),
            code: said.text(options.code.as_ref()),
            deprecated: self.deprecated,
        };
        DraftMember {
            name: Spanned::new(self.name.clone(), name),
            number: Spanned::new(self.number, tag),
            payload,
            doc: self.doc.clone(),
            options,
        }
    }
}

/// Converts options to those of the schema.
struct Translate<'a> {
    spans: &'a mut SpanTable,
}

impl Translate<'_> {
    fn copied<T: Copy>(&mut self, said: Option<OptionValue<T>>) -> Option<Spanned<T>> {
        said.map(|said| Spanned::new(said.value, self.spans.add(said.span)))
    }

    fn text(&mut self, said: Option<&OptionValue<String>>) -> Option<Spanned<String>> {
        said.map(|said| Spanned::new(said.value.clone(), self.spans.add(said.span)))
    }
}

/// The message that a variant carries.
fn payload(variant: &Variant, errors: &mut Errors) -> Option<Type> {
    let name = &variant.ident;
    match &variant.fields {
        Fields::Unit => None,
        Fields::Named(fields) => {
            errors.push_at(
                fields,
                format!(
                    "a variant carries one message\nhelp: declare `#[derive(Message)] struct {name} {{ … }}` with these fields, and \
                     write `{name}({name})`"
                ),
            );
            None
        }
        Fields::Unnamed(fields) => {
            let mut types = fields.unnamed.iter();
            let (Some(first), None) = (types.next(), types.next()) else {
                let help = if fields.unnamed.is_empty() {
                    format!("write `{name}` without parentheses if it carries nothing")
                } else {
                    format!(
                        "declare `#[derive(Message)] struct {name} {{ … }}` with these fields, and write `{name}({name})`"
                    )
                };
                errors.push_at(
                    fields,
                    format!("a variant carries one message\nhelp: {help}"),
                );
                return None;
            };
            for attribute in first
                .attrs
                .iter()
                .filter(|attribute| attribute.path().is_ident("msip"))
            {
                errors.push_at(
                    attribute,
                    "options of a member belong above its variant [misplaced-option]\nhelp: move it there",
                );
            }
            if let Some((at, advice)) = not_a_message(&first.ty, name) {
                errors.push_at(
                    at,
                    format!(
                        "`{}` is not a message [member-not-message]\nhelp: {advice}",
                        shown(&first.ty)
                    ),
                );
            }
            Some(first.ty.clone())
        }
    }
}

/// Types that are certainly not messages.
fn not_a_message<'a>(ty: &'a Type, variant: &Ident) -> Option<(&'a Type, String)> {
    if let Type::Tuple(tuple) = ty
        && tuple.elems.is_empty()
    {
        return Some((
            ty,
            format!("write `{variant}` without parentheses if it carries nothing"),
        ));
    }
    let wrap = |ty: &Type| {
        format!(
            "declare `#[derive(Message)] struct {variant} {{ #[msip(tag = 1)] value: {} }}` and write `{variant}({variant})`: what \
             is one value today has a second one tomorrow",
            shown(ty)
        )
    };
    if let Type::Path(path) = ty {
        let last = path.path.segments.last()?.ident.to_string();
        let is_scalar = matches!(
            last.as_str(),
            "i32"
                | "i64"
                | "u32"
                | "u64"
                | "f32"
                | "f64"
                | "bool"
                | "String"
                | "Vec"
                | "HashMap"
                | "BTreeMap"
        );
        if is_scalar {
            return Some((ty, wrap(ty)));
        }
        if last == "Option" {
            return Some((
                ty,
                "a message is sent or not: write it without `Option`".to_owned(),
            ));
        }
        if last == "Box" {
            return Some((ty, "write the message without `Box`, and allow `clippy::large_enum_variant` if need be".to_owned()));
        }
    }
    advice::instead_of(ty)
}

/// A type roughly as it was written.
pub(crate) fn shown(ty: &Type) -> String {
    let text = ty.to_token_stream().to_string();
    text.replace(" :: ", "::")
        .replace(" < ", "<")
        .replace(" >", ">")
        .replace("& ", "&")
        .replace(" ;", ";")
        .replace(" ,", ",")
}

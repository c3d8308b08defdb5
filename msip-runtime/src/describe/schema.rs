//! The schema of a derived protocol, built once on first use.

use std::collections::HashSet;

use msip_schema::{
    Cardinality, Compression, Draft, DraftEnvelope, DraftMember, MemberOptions, Payload, Reply,
    Reserved, Schema, Span, Spanned, TypeDef, Types, map_entry_name,
};

use super::reserved::{merged, without_duplicates};
use super::{Registry, ValueType, descriptors};
use crate::{
    decoded_size::MessageSize,
    protocol::{Envelope, Exchange, Protocol, Variant},
};

/// A protocol whose schema is derived from its types.
///
/// Implemented by the derives; its `fingerprint` and `descriptor_set` come from here.
pub trait DescribeProtocol: Protocol {
    /// The schema, built on first use.
    fn schema() -> &'static DerivedSchema;
}

/// An enum with `#[derive(ClientToServer)]` whose counterpart exists.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is half of a protocol",
    label = "no enum with `#[derive(ServerToClient)]` in this module",
    note = "a protocol is two enums in one module: one with `#[derive(ClientToServer)]`, the other with `#[derive(ServerToClient)]`"
)]
pub trait HalfProtocol {}

/// The description of an envelope: the types and comments of its members, by ascending number.
#[derive(Debug)]
pub struct EnvelopeShape {
    doc: &'static str,
    members: Vec<MemberShape>,
    reserved: Reserved,
}

/// One member of an [`EnvelopeShape`].
#[derive(Debug)]
struct MemberShape {
    /// The message; `None` for a member without a payload.
    ty: Option<ValueType>,
    doc: &'static str,
    deprecated: bool,
}

impl EnvelopeShape {
    /// An envelope without members, with this comment.
    #[must_use]
    pub fn new(doc: &'static str) -> Self {
        Self {
            doc,
            members: Vec::new(),
            reserved: Reserved::default(),
        }
    }

    /// Adds a member with a message.
    #[must_use]
    pub fn member(mut self, ty: ValueType, doc: &'static str) -> Self {
        self.push(Some(ty), doc);
        self
    }

    /// Adds a member without a payload.
    #[must_use]
    pub fn empty(mut self, doc: &'static str) -> Self {
        self.push(None, doc);
        self
    }

    fn push(&mut self, ty: Option<ValueType>, doc: &'static str) {
        self.members.push(MemberShape {
            ty,
            doc,
            deprecated: false,
        });
    }

    /// Marks the member that was added last as deprecated.
    #[must_use]
    pub fn last_deprecated(mut self) -> Self {
        if let Some(member) = self.members.last_mut() {
            member.deprecated = true;
        }
        self
    }

    /// Reserves the numbers from `first` to `last`.
    #[must_use]
    pub fn reserved(mut self, first: u32, last: u32) -> Self {
        self.reserved.numbers.push((first, last));
        self
    }

    /// Reserves a name.
    #[must_use]
    pub fn reserved_name(mut self, name: &str) -> Self {
        self.reserved.names.push(name.to_owned());
        self
    }
}

/// A schema built from types, with its fingerprint and descriptors.
#[derive(Debug)]
pub struct DerivedSchema {
    schema: Schema,
    fingerprint: u64,
    descriptor_set: Vec<u8>,
    sizes: Vec<MessageSize>,
}

impl DerivedSchema {
    /// Builds the schema of a protocol from the descriptions of its messages.
    ///
    /// # Panics
    ///
    /// If no schema can have these types: messages are nested more than 64 levels deep, or a field is named like the entry
    /// of a map beside it. All that a derive can see of this is refused by the compiler.
    #[must_use]
    pub fn of<P: Protocol>(
        client_to_server: fn(&mut Registry) -> EnvelopeShape,
        server_to_client: fn(&mut Registry) -> EnvelopeShape,
    ) -> Self {
        let mut registry = Registry::new(P::NAME);
        let client_shape = client_to_server(&mut registry);
        let server_shape = server_to_client(&mut registry);
        let (client, server) = (
            <P::ClientToServer as Envelope>::VARIANTS,
            <P::ServerToClient as Envelope>::VARIANTS,
        );
        let (types, sizes) = registry.finish();
        let draft = Draft {
            package: Spanned::new(P::NAME.to_owned(), Span::NONE),
            doc: String::new(),
            client_to_server: envelope(client, server, client_shape),
            server_to_client: envelope(server, client, server_shape),
            methods: Vec::new(),
            types,
        };
        // The macro has made the checks that need no types, and reports errors where they are declared.
        let schema = match draft.check() {
            Ok(schema) => schema,
            Err(mistakes) => refuse(P::NAME, mistakes.into_iter().map(|mistake| mistake.message)),
        };
        if let Some(mistake) = named_like_an_entry(schema.types()) {
            refuse(P::NAME, [mistake]);
        }
        Self {
            fingerprint: schema.fingerprint(),
            descriptor_set: descriptors::descriptor_set(&schema),
            schema,
            sizes,
        }
    }

    /// The fingerprint, the same as that of the schema as a `.proto` file.
    #[must_use]
    pub const fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// The schema as an encoded `google.protobuf.FileDescriptorSet`, imports included.
    #[must_use]
    pub fn descriptor_set(&self) -> &[u8] {
        &self.descriptor_set
    }

    /// The sizes of its messages.
    #[doc(hidden)]
    #[must_use]
    pub fn message_sizes(&self) -> &[MessageSize] {
        &self.sizes
    }

    /// The schema as a `.proto` file.
    ///
    /// # Panics
    ///
    /// Never: all types of a derived schema are of its own package.
    #[must_use]
    pub fn proto_text(&self) -> String {
        // It fails only for types of other packages, and the registry puts all types in one.
        self.schema.to_proto().unwrap_or_default()
    }
}

/// The schema of a derived protocol as a `.proto` file, for use from other languages.
///
/// It has the same fingerprint and wire format.
///
/// ```ignore
/// std::fs::write("proto/chat.proto", msip_runtime::proto_text::<chat::Chat>())?;
/// ```
#[must_use]
pub fn proto_text<P: DescribeProtocol>() -> String {
    P::schema().proto_text()
}

/// Ends the program at the first use of a protocol that no schema can be.
fn refuse(protocol: &str, mistakes: impl IntoIterator<Item = String>) -> ! {
    let mistakes: Vec<_> = mistakes.into_iter().collect();
    panic!("`{protocol}` cannot be a protocol: {}", mistakes.join("; "))
}

/// A field with the name of the message that stands for the entries of a map beside it.
fn named_like_an_entry(types: &Types) -> Option<String> {
    types.iter().find_map(|(name, ty)| {
        let TypeDef::Message(message) = ty else {
            return None;
        };
        let maps = message
            .fields
            .iter()
            .filter(|field| matches!(field.cardinality, Cardinality::Map(_)));
        let entries: HashSet<String> = maps.map(|map| map_entry_name(&map.name)).collect();
        let mut fields = message.fields.iter();
        let field = fields.find(|field| entries.contains(&field.name))?;
        Some(format!(
            "the field `{}` of `{name}` is named like the entries of a map beside it: rename one of the two",
            field.name
        ))
    })
}

/// The envelope as a front end would read it, with every option explicit.
fn envelope(variants: &[Variant], others: &[Variant], shape: EnvelopeShape) -> DraftEnvelope {
    let members = variants.iter().zip(shape.members);
    let members = members.map(|(variant, shape)| DraftMember {
        name: Spanned::new(variant.name.to_owned(), Span::NONE),
        number: Spanned::new(u32::from(variant.number), Span::NONE),
        payload: Spanned::new(
            match shape.ty.as_ref().and_then(ValueType::message_name) {
                Some(name) => Payload::Message(name.clone()),
                None => Payload::Empty,
            },
            Span::NONE,
        ),
        doc: shape.doc.to_owned(),
        options: MemberOptions {
            deprecated: shape.deprecated,
            ..options(variant, others)
        },
    });
    DraftEnvelope {
        span: Span::NONE,
        doc: shape.doc.to_owned(),
        members: members.collect(),
        reserved: Reserved {
            numbers: merged(shape.reserved.numbers),
            names: without_duplicates(shape.reserved.names),
        },
    }
}

fn options(variant: &Variant, others: &[Variant]) -> MemberOptions {
    fn explicit<T>(value: T) -> Option<Spanned<T>> {
        Some(Spanned::new(value, Span::NONE))
    }
    let mut options = MemberOptions::default();
    match variant.exchange {
        Exchange::OneWay => {
            options.reply = explicit(Reply::None);
            options.kind = explicit(variant.kind);
        }
        Exchange::Acknowledged => {
            options.reply = explicit(Reply::Ack);
            options.kind = explicit(variant.kind);
        }
        Exchange::Call {
            response,
            request_stream,
            response_stream,
        } => {
            options.request_stream = request_stream.then_some(Span::NONE);
            options.reply = response_stream.then(|| explicit(Reply::Stream)).flatten();
            let answer = others.iter().find(|other| other.number == response);
            options.response = answer.and_then(|answer| explicit(answer.name.to_owned()));
        }
        Exchange::Answer => {}
    }
    options.timeout_ms = variant.timeout_ms.and_then(explicit);
    options.urgent = variant.urgent.then(|| explicit(true)).flatten();
    options.idempotent = variant.idempotent.then(|| explicit(true)).flatten();
    options.compress = variant
        .uncompressed
        .then(|| explicit(Compression::Never))
        .flatten();
    options.key = variant.key.and_then(|key| explicit(key.to_owned()));
    options.code = variant.code.and_then(|code| explicit(code.to_owned()));
    options
}

//! The members of a protocol by their codes.

use std::collections::HashMap;

use msip_schema::MsgKind;
use prost::Message as _;
use prost_types::FileDescriptorSet;

use super::{
    super::protocol::{DialectProtocol, EnvelopeTable},
    packet::MAX_CODE,
};
use crate::{
    Exchange, Variant,
    body::{Codec, MessageAlone, MessageForm},
};
use msip_session::wire::Side;

/// Both directions of a protocol, for one side of a connection. Made once for a client, or for a listener.
#[derive(Debug)]
pub(crate) struct Codes {
    /// What this side sends, by number.
    outgoing: HashMap<u16, CodedMember>,
    /// What the peer sends, by number.
    incoming: HashMap<u16, CodedMember>,
    /// The numbers of what the peer may send by itself.
    by_code: HashMap<&'static str, u16>,
    max_code: usize,
}

/// One member of an envelope.
#[derive(Debug, Clone, Copy)]
pub(super) struct CodedMember {
    pub(super) number: u16,
    pub(super) name: &'static str,
    pub(super) code: &'static str,
    pub(super) kind: MsgKind,
    pub(super) exchange: Exchange,
    pub(super) urgent: bool,
    form: MessageForm,
}

impl CodedMember {
    pub(super) const fn message(&self, codec: Codec) -> MessageAlone<'static> {
        MessageAlone {
            codec,
            number: self.number,
            name: self.name,
            form: self.form,
        }
    }
}

impl Codes {
    /// Those of a protocol, for this side.
    pub(crate) fn of(protocol: &DialectProtocol, side: Side) -> Self {
        // Generated code has descriptors that can be decoded; without any all messages are encoded.
        let descriptors =
            FileDescriptorSet::decode((protocol.descriptor_set)()).unwrap_or_default();
        let members = |table: &EnvelopeTable, envelope| {
            members(table.variants, &descriptors, protocol.name, envelope)
        };
        let to_server = members(&protocol.client_to_server, "ClientToServer");
        let to_client = members(&protocol.server_to_client, "ServerToClient");
        match side {
            Side::Connecting => Self::new(to_server, to_client),
            Side::Accepting => Self::new(to_client, to_server),
        }
    }

    fn new(outgoing: Vec<CodedMember>, incoming: Vec<CodedMember>) -> Self {
        let by_number = |members: Vec<CodedMember>| {
            let members = members.into_iter();
            members.map(|member| (member.number, member)).collect()
        };
        let by_code: HashMap<_, _> = incoming
            .iter()
            .filter(|member| member.exchange != Exchange::Answer)
            .map(|member| (member.code, member.number))
            .collect();
        Self {
            max_code: by_code
                .keys()
                .map(|code| code.len())
                .fold(MAX_CODE, usize::max),
            outgoing: by_number(outgoing),
            incoming: by_number(incoming),
            by_code,
        }
    }

    /// The member of this number that this side sends.
    pub(super) fn outgoing(&self, number: u16) -> Option<&CodedMember> {
        self.outgoing.get(&number)
    }

    /// The member of this number that the peer sends, answers included.
    pub(super) fn incoming(&self, number: u16) -> Option<&CodedMember> {
        self.incoming.get(&number)
    }

    /// What the peer means by a code.
    pub(super) fn find(&self, code: &[u8]) -> Option<&CodedMember> {
        let number = self.by_code.get(std::str::from_utf8(code).ok()?)?;
        self.incoming(*number)
    }

    /// The longest code of the peer that is looked at, in bytes.
    pub(super) const fn max_code(&self) -> usize {
        self.max_code
    }
}

fn members(
    variants: &[Variant],
    descriptors: &FileDescriptorSet,
    package: &str,
    envelope: &str,
) -> Vec<CodedMember> {
    let forms = forms(descriptors, package, envelope);
    let member = |variant: &Variant| CodedMember {
        number: variant.number,
        name: variant.name,
        code: variant.code.unwrap_or(variant.name),
        kind: variant.kind,
        exchange: variant.exchange,
        urgent: variant.urgent,
        form: forms.get(&variant.number).copied().unwrap_or_default(),
    };
    variants.iter().map(member).collect()
}

/// What the messages of an envelope's members are, by number.
fn forms(
    descriptors: &FileDescriptorSet,
    package: &str,
    envelope: &str,
) -> HashMap<u16, MessageForm> {
    let files = descriptors.file.iter();
    let messages = files
        .filter(|file| file.package() == package)
        .flat_map(|file| &file.message_type);
    let fields = messages
        .filter(|message| message.name() == envelope)
        .flat_map(|message| &message.field);
    let form = |name: &str| match name {
        ".google.protobuf.Empty" => MessageForm::Empty,
        ".google.protobuf.BytesValue" => MessageForm::Bytes,
        ".google.protobuf.StringValue" => MessageForm::Text,
        _ => MessageForm::Encoded,
    };
    fields
        .filter_map(|field| {
            let number = u16::try_from(field.number()).ok()?;
            Some((number, form(field.type_name())))
        })
        .collect()
}

//! A program's own schema, as it describes it to a peer whose schema is another version (docs/protocol.md, "Schema
//! fingerprint").

use std::sync::OnceLock;

use bytes::Bytes;
use msip_schema::{
    Compression, Exchange as SchemaExchange, Member, Payload, Span, TypeName, compare::Description,
};
use prost::Message as _;
use prost_types::FileDescriptorSet;

use super::descriptor_types;
use crate::protocol::{Envelope, Exchange, Protocol, Variant};

/// The schema of a protocol, which is put together when a peer has another version of it, and not before.
#[derive(Debug)]
pub(crate) struct OwnSchema {
    fingerprint: fn() -> u64,
    build: fn() -> Result<Description, String>,
    built: OnceLock<Result<Built, String>>,
}

#[derive(Debug)]
struct Built {
    description: Description,
    text: Bytes,
}

impl OwnSchema {
    /// That of a protocol.
    pub(crate) fn of<P: Protocol>() -> Self {
        Self {
            fingerprint: P::fingerprint,
            build: build::<P>,
            built: OnceLock::new(),
        }
    }

    /// Its fingerprint.
    pub(crate) fn fingerprint(&self) -> u64 {
        (self.fingerprint)()
    }

    /// What is compared with the schema of a peer.
    ///
    /// # Errors
    ///
    /// Why there is no description: the schema is too large for one, or its descriptors do not agree with its fingerprint.
    pub(crate) fn description(&self) -> Result<&Description, &str> {
        let built = self.built().as_ref();
        built
            .map(|built| &built.description)
            .map_err(String::as_str)
    }

    /// What is sent to a peer that asks.
    ///
    /// # Errors
    ///
    /// As [`description`](Self::description).
    pub(crate) fn text(&self) -> Result<&Bytes, &str> {
        let built = self.built().as_ref();
        built.map(|built| &built.text).map_err(String::as_str)
    }

    fn built(&self) -> &Result<Built, String> {
        self.built.get_or_init(|| {
            let text = (self.build)()?.to_text();
            // As a peer will read it: within the limits, and with the fingerprint that HELLO names.
            let description =
                Description::parse(text.as_bytes()).map_err(|error| error.to_string())?;
            if description.fingerprint() != self.fingerprint() {
                return Err("the descriptors are of another schema than the fingerprint".to_owned());
            }
            let text = Bytes::from(text);
            Ok(Built { description, text })
        })
    }
}

/// Puts a description together from the descriptors of the types and the tables of the members.
fn build<P: Protocol>() -> Result<Description, String> {
    let set = FileDescriptorSet::decode(P::descriptor_set()).map_err(|error| error.to_string())?;
    let (client, server) = (
        <P::ClientToServer as Envelope>::VARIANTS,
        <P::ServerToClient as Envelope>::VARIANTS,
    );
    let members = |envelope: &str, variants: &[Variant], others: &[Variant]| {
        let name = format!("{}.{envelope}", P::NAME);
        let payloads = descriptor_types::payloads(&set, &name);
        let members = variants.iter().map(|variant| {
            let payload = payloads.get(&u32::from(variant.number));
            let payload = payload.ok_or_else(|| format!("no descriptor of `{}`", variant.name))?;
            Ok(member(variant, others, payload))
        });
        members.collect::<Result<Vec<_>, String>>()
    };
    Ok(Description::new(
        P::NAME,
        members("ClientToServer", client, server)?,
        members("ServerToClient", server, client)?,
        descriptor_types::types(&set),
    ))
}

fn member(variant: &Variant, others: &[Variant], payload: &TypeName) -> Member {
    Member {
        name: variant.name.to_owned(),
        number: variant.number,
        payload: if payload.is_empty_message() {
            Payload::Empty
        } else {
            Payload::Message(payload.clone())
        },
        doc: String::new(),
        kind: variant.kind,
        exchange: match variant.exchange {
            Exchange::OneWay => SchemaExchange::OneWay,
            Exchange::Acknowledged => SchemaExchange::Acknowledged,
            Exchange::Answer => SchemaExchange::Answer,
            Exchange::Call {
                response,
                request_stream,
                response_stream,
            } => {
                let answer = others.iter().find(|other| other.number == response);
                SchemaExchange::Call {
                    response: answer.map_or("", |answer| answer.name).to_owned(),
                    request_stream,
                    response_stream,
                }
            }
        },
        timeout: None,
        urgent: variant.urgent,
        compress: Compression::Negotiated,
        idempotent: variant.idempotent,
        no_side_effects: false,
        key: None,
        code: variant.code.map(str::to_owned),
        deprecated: false,
        span: Span::NONE,
    }
}

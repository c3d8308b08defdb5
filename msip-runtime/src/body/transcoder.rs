//! The transcoder between protobuf and the codecs with field names, JSON and MessagePack.

use std::sync::Arc;

#[cfg(feature = "json")]
use super::json::{JsonReader, JsonWriter};
#[cfg(feature = "msgpack")]
use super::msgpack::{MsgpackReader, MsgpackWriter};
use super::{
    choice::Codec,
    descriptor_pool::{DescriptorPool, MessageId},
    tree::{TreeError, Unknown, read_tree, write_tree},
};
use crate::{Envelope, Protocol};
use msip_session::wire::Side;

/// The descriptors of a protocol; built once for a client or a server, and shared by its connections.
#[derive(Debug, Clone)]
pub(crate) struct ProtocolDescriptors {
    pool: Arc<DescriptorPool>,
    client_to_server: MessageId,
    server_to_client: MessageId,
}

impl ProtocolDescriptors {
    /// Indexes the protocol's descriptors, which costs about as much as encoding a thousand messages.
    ///
    /// # Errors
    ///
    /// The descriptors do not describe the protocol.
    pub(crate) fn of<P: Protocol>() -> Result<Self, String> {
        Self::new(P::descriptor_set(), P::NAME)
    }

    fn new(descriptor_set: &[u8], package: &str) -> Result<Self, String> {
        let pool = DescriptorPool::new(descriptor_set)?;
        let envelope = |name: &str| {
            let name = format!("{package}.{name}");
            pool.find(&name)
                .ok_or_else(|| format!("the descriptors of `{package}` have no message {name}"))
        };
        Ok(Self {
            client_to_server: envelope("ClientToServer")?,
            server_to_client: envelope("ServerToClient")?,
            pool: Arc::new(pool),
        })
    }

    /// The transcoder of one side of a connection; `None` for protobuf, which needs none.
    pub(crate) fn transcoder(&self, codec: Codec, side: Side) -> Option<Transcoder> {
        let format = match codec {
            #[cfg(feature = "json")]
            Codec::Json => Format::Json,
            #[cfg(feature = "msgpack")]
            Codec::MessagePack => Format::MessagePack,
            _ => return None,
        };
        let (outgoing, incoming) = match side {
            Side::Connecting => (self.client_to_server, self.server_to_client),
            Side::Accepting => (self.server_to_client, self.client_to_server),
        };
        Some(Transcoder {
            format,
            pool: Arc::clone(&self.pool),
            outgoing,
            incoming,
        })
    }
}

#[derive(Debug, Clone, Copy)]
enum Format {
    #[cfg(feature = "json")]
    Json,
    #[cfg(feature = "msgpack")]
    MessagePack,
}

/// Encodes what one side of a connection sends, and decodes what it receives.
#[derive(Debug, Clone)]
pub(crate) struct Transcoder {
    format: Format,
    pool: Arc<DescriptorPool>,
    outgoing: MessageId,
    incoming: MessageId,
}

impl Transcoder {
    pub(super) fn codec(&self) -> Codec {
        match self.format {
            #[cfg(feature = "json")]
            Format::Json => Codec::Json,
            #[cfg(feature = "msgpack")]
            Format::MessagePack => Codec::MessagePack,
        }
    }

    /// Encodes an outgoing message as a body.
    pub(super) fn encode<E: Envelope>(&self, message: &E) -> Result<Vec<u8>, String> {
        let mut protobuf = Vec::with_capacity(message.encoded_len());
        message.encode(&mut protobuf);
        self.write(self.outgoing, &protobuf)
            .map_err(|error| error.to_string())
    }

    /// Decodes the body of an incoming message to protobuf.
    pub(super) fn decode(&self, body: &[u8], max_len: usize) -> Result<Vec<u8>, String> {
        self.read(self.incoming, body, max_len)
            .map_err(|error| error.to_string())
    }

    fn write(&self, id: MessageId, protobuf: &[u8]) -> Result<Vec<u8>, TreeError> {
        let mut body = Vec::with_capacity(protobuf.len().saturating_mul(2));
        match self.format {
            #[cfg(feature = "json")]
            Format::Json => write_tree(&self.pool, id, protobuf, &mut JsonWriter::new(&mut body))?,
            #[cfg(feature = "msgpack")]
            Format::MessagePack => {
                write_tree(&self.pool, id, protobuf, &mut MsgpackWriter::new(&mut body))?
            }
        }
        Ok(body)
    }

    fn read(&self, id: MessageId, body: &[u8], max_len: usize) -> Result<Vec<u8>, TreeError> {
        match self.format {
            #[cfg(feature = "json")]
            Format::Json => read_tree(
                &self.pool,
                id,
                JsonReader::new(body)?,
                body.len(),
                max_len,
                Unknown::Skip,
            ),
            #[cfg(feature = "msgpack")]
            Format::MessagePack => read_tree(
                &self.pool,
                id,
                MsgpackReader::new(body),
                body.len(),
                max_len,
                Unknown::Skip,
            ),
        }
    }
}

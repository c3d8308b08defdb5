//! What a dialect knows of the protocol that is spoken: the tables of generated code.

use std::fmt;

use bytes::Bytes;

use crate::{
    BodyError, Envelope, Protocol,
    body::{Body, Encoding},
    protocol::Variant,
};

/// A protocol, for whoever translates its messages. Cheap to copy.
#[derive(Clone, Copy)]
pub(crate) struct DialectProtocol {
    /// Its name in HELLO.
    pub(crate) name: &'static str,
    pub(crate) fingerprint: u64,
    pub(crate) client_to_server: EnvelopeTable,
    pub(crate) server_to_client: EnvelopeTable,
    /// The schema as an encoded `google.protobuf.FileDescriptorSet`, imports included.
    #[expect(dead_code, reason = "for dialects that translate bodies")]
    pub(crate) descriptor_set: fn() -> &'static [u8],
}

/// The messages of one direction.
#[derive(Clone, Copy)]
pub(crate) struct EnvelopeTable {
    /// By ascending number.
    pub(crate) variants: &'static [Variant],
    check: fn(&Encoding, u16, &Bytes) -> Result<(), BodyError>,
}

impl DialectProtocol {
    pub(crate) fn of<P: Protocol>() -> Self {
        Self {
            name: P::NAME,
            fingerprint: P::fingerprint(),
            client_to_server: EnvelopeTable::of::<P::ClientToServer>(),
            server_to_client: EnvelopeTable::of::<P::ServerToClient>(),
            descriptor_set: P::descriptor_set,
        }
    }
}

impl EnvelopeTable {
    fn of<E: Envelope>() -> Self {
        Self {
            variants: E::VARIANTS,
            check: |encoding, variant, body| {
                encoding
                    .decode::<E>(variant, Body::from(body))
                    .map(drop)
                    .map_err(BodyError::named::<E>)
            },
        }
    }

    /// The variant of this number.
    pub(crate) fn get(&self, number: u16) -> Option<&'static Variant> {
        let place = self
            .variants
            .binary_search_by_key(&number, Variant::number)
            .ok()?;
        self.variants.get(place)
    }

    /// Whether a body can be decoded as this variant. It is decoded again where it is handled: this is for dialects whose rules
    /// say what becomes of a connection by which another one comes.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn check(
        &self,
        encoding: &Encoding,
        variant: u16,
        body: &Bytes,
    ) -> Result<(), BodyError> {
        (self.check)(encoding, variant, body)
    }
}

impl fmt::Debug for DialectProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Debug for EnvelopeTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.variants).finish()
    }
}

//! The traits of a protocol that generated code implements: both envelopes, and the table of each one's variants.

mod body;
mod body_error;
mod variant;

pub use body::Body;
pub use body_error::{BodyError, VariantLabel};
pub use variant::{Exchange, Variant};

pub(crate) use variant::variant_of;

use crate::decoded_size::{EnvelopeSizes, MessageSize};

/// The generation of generated code that this runtime supports.
const GENERATION: u32 = 1;

/// Refuses, at compile time, code from another generation of `msip-codegen`. For generated code.
///
/// Generated files call it in a `const`, so that a mismatch is one clear error instead of many obscure ones.
///
/// # Panics
///
/// At compile time, if `generation` is not that of this runtime.
pub const fn require_generation(generation: u32) {
    assert!(
        generation == GENERATION,
        "this code was generated for another msip-runtime: use the same version of msip-codegen and msip-runtime"
    );
}

/// A protocol: both directions of one schema.
///
/// Implemented by generated code on a type named after the package, such as `Chat`.
pub trait Protocol: Sized + Send + Sync + 'static {
    /// The messages of a client.
    type ClientToServer: Envelope;
    /// The messages of a server.
    type ServerToClient: Envelope;
    /// The package of the schema, which is the name of the protocol in HELLO.
    const NAME: &'static str;

    /// The schema's fingerprint (docs/protocol.md, "Schema fingerprint").
    fn fingerprint() -> u64;

    /// The schema as an encoded `google.protobuf.FileDescriptorSet`, imports included.
    fn descriptor_set() -> &'static [u8];

    /// The sizes of the Rust types of its messages, for the setting `max_decoded`.
    #[doc(hidden)]
    fn message_sizes() -> &'static [MessageSize] {
        &[]
    }
}

/// All messages of one direction, as one enum.
pub trait Envelope: Sized + Send + Sync + 'static {
    /// Every variant, by ascending number.
    const VARIANTS: &'static [Variant];

    /// The index of this value's variant in [`VARIANTS`](Self::VARIANTS).
    fn index(&self) -> usize;

    /// The length of [`encode`](Self::encode)'s output, in bytes.
    fn encoded_len(&self) -> usize;

    /// Appends the body: the envelope message in protobuf.
    fn encode(&self, buffer: &mut Vec<u8>);

    /// Decodes the body of the variant with this number.
    ///
    /// # Errors
    ///
    /// An unknown variant, or bytes that are not the envelope message holding that variant.
    fn decode(variant: u16, body: Body<'_>) -> Result<Self, BodyError>;

    /// What its members take in memory, for the setting `max_decoded`; `None` for an envelope that is not generated, whose
    /// messages are not limited by it.
    #[doc(hidden)]
    fn sizes() -> Option<&'static EnvelopeSizes> {
        None
    }
}

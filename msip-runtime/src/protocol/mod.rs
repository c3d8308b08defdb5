//! A protocol as generated code describes it: both envelopes, and the table of each one's variants.

mod body;
mod body_error;
mod variant;

pub use body::Body;
pub use body_error::BodyError;
pub use variant::{Exchange, Variant};

pub(crate) use variant::variant_of;

/// The generation of generated code that this runtime understands.
const GENERATION: u32 = 1;

/// Refuses, at compile time, code that another generation of `msip-codegen` wrote.
///
/// Generated files call it in a `const`, so that a mismatch is one clear error instead of many strange ones.
///
/// # Panics
///
/// In the compiler, where `generation` is not this runtime's.
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
    /// What a client may say.
    type ClientToServer: Envelope;
    /// What a server may say.
    type ServerToClient: Envelope;
    /// The schema's package, which names the protocol in HELLO.
    const NAME: &'static str;

    /// The schema's fingerprint (docs/protocol.md, "Schema fingerprint").
    fn fingerprint() -> u64;

    /// The schema as an encoded `google.protobuf.FileDescriptorSet`, imports included.
    fn descriptor_set() -> &'static [u8];
}

/// Everything that may be said in one direction, as one enum.
pub trait Envelope: Sized + Send + Sync + 'static {
    /// Every variant, by ascending number.
    const VARIANTS: &'static [Variant];

    /// The place of this value's variant in [`VARIANTS`](Self::VARIANTS).
    fn index(&self) -> usize;

    /// The length of [`encode`](Self::encode)'s output, in bytes.
    fn encoded_len(&self) -> usize;

    /// Appends the body: the envelope message in protobuf.
    fn encode(&self, buffer: &mut Vec<u8>);

    /// Reads the body of the variant with this number.
    ///
    /// # Errors
    ///
    /// An unknown variant, or bytes that are not the envelope message holding that variant.
    fn decode(variant: u16, body: Body<'_>) -> Result<Self, BodyError>;
}

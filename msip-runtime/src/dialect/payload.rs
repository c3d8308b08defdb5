//! The parts of a payload (docs/protocol.md, "Metadata"), of frames that the session of this side has written.

use msip_session::wire::Flags;

/// The topic and the body of a message. Its metadata was refused before, or is for this side only: see
/// [`Carries::check_metadata`](super::Carries::check_metadata).
pub(super) fn topic_and_body(flags: Flags, payload: &[u8]) -> Option<(&[u8], &[u8])> {
    after_length(after_metadata(flags, payload)?)
}

/// What follows the metadata.
pub(super) fn after_metadata(flags: Flags, payload: &[u8]) -> Option<&[u8]> {
    if flags.contains(Flags::META) {
        after_length(payload).map(|(_, rest)| rest)
    } else {
        Some(payload)
    }
}

/// A part that follows its length, and what comes after it.
pub(super) fn after_length(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))
}

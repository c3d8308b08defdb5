//! Small frames, written whole.

use super::{
    Code, Credit, ErrorRef, ErrorText, Flags, FrameType, HEADER_LEN, Header, Limits,
    MAX_ERROR_METADATA, MsgId, write_metadata,
};

/// Appends an ACK without a body: the exchange `msg_id` was handled.
pub fn write_ack(buf: &mut Vec<u8>, flags: Flags, msg_id: MsgId) {
    write(
        buf,
        Header {
            flags,
            ..Header::control(FrameType::Ack, msg_id)
        },
        &[],
    );
}

/// Appends an ERROR: the exchange `msg_id` failed, or with [`MsgId::CONNECTION`] the connection itself.
///
/// `message` is cut to fit [`MAX_TEXT_LEN`](super::MAX_TEXT_LEN).
pub fn write_error(buf: &mut Vec<u8>, flags: Flags, msg_id: MsgId, code: Code, message: &str) {
    let header = Header {
        flags,
        ..Header::control(FrameType::Error, msg_id)
    };
    write(buf, header, ErrorText::format(code, message).as_bytes());
}

/// Appends an ERROR for the exchange `msg_id`, between peers that have agreed on
/// [`ERROR_METADATA`](super::ERROR_METADATA): its metadata, and up to [`MAX_LONG_TEXT_LEN`](super::MAX_LONG_TEXT_LEN) bytes
/// of its text. Metadata is left out where it is over its limit, or makes the payload longer than `max_payload`.
pub fn write_long_error(
    buf: &mut Vec<u8>,
    flags: Flags,
    msg_id: MsgId,
    error: ErrorRef<'_>,
    max_payload: usize,
) {
    let text = ErrorText::format_long(error.code, error.message);
    let mut payload = Vec::new();
    let written = error
        .metadata
        .map(|metadata| write_metadata(&mut payload, metadata, MAX_ERROR_METADATA));
    let has_metadata =
        matches!(written, Some(Ok(()))) && payload.len().saturating_add(text.len()) <= max_payload;
    let mut header = Header {
        flags,
        ..Header::control(FrameType::Error, msg_id)
    };
    if has_metadata {
        header.flags = header.flags.union(Flags::META);
        payload.extend_from_slice(text.as_bytes());
        write(buf, header, &payload);
    } else {
        write(buf, header, text.as_bytes());
    }
}

/// Appends a CLOSE: this side opens and accepts nothing new.
///
/// `message` is cut to fit [`MAX_TEXT_LEN`](super::MAX_TEXT_LEN).
pub fn write_close(buf: &mut Vec<u8>, code: Code, message: &str) {
    let header = Header::control(FrameType::Close, MsgId::CONNECTION);
    write(buf, header, ErrorText::format(code, message).as_bytes());
}

/// Appends a PING. At most [`Limits::MAX_CONTROL`] bytes of `payload` go out.
pub fn write_ping(buf: &mut Vec<u8>, msg_id: MsgId, payload: &[u8]) {
    write(buf, Header::control(FrameType::Ping, msg_id), payload);
}

/// Appends the PONG for a PING's `msg_id` and `payload`.
pub fn write_pong(buf: &mut Vec<u8>, msg_id: MsgId, payload: &[u8]) {
    write(buf, Header::control(FrameType::Pong, msg_id), payload);
}

/// Appends a CREDIT for the stream `msg_id`, or with [`MsgId::CONNECTION`] for one-way messages.
pub fn write_credit(buf: &mut Vec<u8>, flags: Flags, msg_id: MsgId, credit: Credit) {
    let header = Header {
        flags,
        ..Header::control(FrameType::Credit, msg_id)
    };
    write(buf, header, &credit.encode());
}

/// Appends a CANCEL: the answer of `msg_id` is no longer wanted.
pub fn write_cancel(buf: &mut Vec<u8>, flags: Flags, msg_id: MsgId) {
    write(
        buf,
        Header {
            flags,
            ..Header::control(FrameType::Cancel, msg_id)
        },
        &[],
    );
}

fn write(buf: &mut Vec<u8>, mut header: Header, payload: &[u8]) {
    let max = usize::try_from(Limits::MAX_CONTROL).unwrap_or(usize::MAX);
    let payload = payload.get(..max).unwrap_or(payload);
    // A slice of at most 64 KiB always fits.
    header.payload_len = u32::try_from(payload.len()).unwrap_or(Limits::MAX_CONTROL);
    buf.reserve(HEADER_LEN + payload.len());
    buf.extend_from_slice(&header.encode());
    buf.extend_from_slice(payload);
}

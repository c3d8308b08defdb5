//! What both ends of a connection allow each other.

use std::sync::Arc;

use quinn::{
    TransportConfig, VarInt,
    crypto::rustls::{NoInitialCipherSuite, QuicServerConfig},
    rustls,
};

/// The application protocol (ALPN): docs/protocol.md, "Over QUIC".
pub(super) const ALPN: &[u8] = b"msip/1";

/// How many bytes a stranger may have sent that were not read: until its HELLO is answered.
const STRANGER_WINDOW: VarInt = VarInt::from_u32(32 * 1024);

/// How many bytes of the stream may be under way or not read, once the HELLO is answered.
pub(super) const RECEIVE_WINDOW: VarInt = VarInt::from_u32(1024 * 1024);

/// How many bytes are written ahead of what the peer has acknowledged; after that a writer waits.
const SEND_WINDOW: u64 = 1024 * 1024;

/// How many bytes of datagrams wait to be read, where they are asked for; the oldest are dropped then. And how many to be
/// sent, behind which the session drops.
const DATAGRAMS_RECEIVED: usize = 128 * 1024;
const DATAGRAMS_TO_SEND: usize = 32 * 1024;

/// How many connections may wait to be accepted, and what each, and all of them, may have sent.
const MAX_INCOMING: usize = 1024;
const INCOMING_BUFFER: u64 = 64 * 1024;
const INCOMING_BUFFERS: u64 = 4 * 1024 * 1024;

/// Whether a connection is to be opened or accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Connecting,
    Accepting,
}

/// The transport parameters of an end: one bidirectional stream, opened by the connecting one, and nothing else. There is no
/// idle timeout: MSIP's PINGs say when a connection is lost.
pub(super) fn transport(end: End, has_datagrams: bool) -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(match end {
            End::Connecting => VarInt::from_u32(0),
            End::Accepting => VarInt::from_u32(1),
        })
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .max_idle_timeout(None)
        .stream_receive_window(RECEIVE_WINDOW)
        .receive_window(STRANGER_WINDOW)
        .send_window(SEND_WINDOW)
        .datagram_receive_buffer_size(has_datagrams.then_some(DATAGRAMS_RECEIVED))
        .datagram_send_buffer_size(DATAGRAMS_TO_SEND);
    Arc::new(config)
}

/// What connections are accepted with: this certificate, and limits on what strangers cost before they are.
pub(super) fn accepting(
    tls: Arc<rustls::ServerConfig>,
    transport: &Arc<TransportConfig>,
) -> Result<quinn::ServerConfig, NoInitialCipherSuite> {
    let crypto = QuicServerConfig::try_from(tls)?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    config
        .transport_config(Arc::clone(transport))
        .max_incoming(MAX_INCOMING)
        .incoming_buffer_size(INCOMING_BUFFER)
        .incoming_buffer_size_total(INCOMING_BUFFERS);
    Ok(config)
}

//! HELLO and Welcome, which foreign peers do not have.

use bytes::Bytes;
use msip_session::wire::{
    FrameType, Header, MsgId, SessionId, Welcome, begin_frame, finish_frame, parse_hello,
    write_welcome,
};

use super::DialectError;

/// The HELLO of a client's session, and the Welcome that answers it once the foreign peer is there.
#[derive(Debug, Clone)]
pub(super) struct Greeting {
    pub(super) hello: MsgId,
    pub(super) session_id: SessionId,
    /// Nobody tells which schema the foreign peer has, nor what it accepts: both are the session's own.
    pub(super) welcome: Welcome,
}

impl Greeting {
    /// # Errors
    ///
    /// It is no HELLO.
    pub(super) fn of(
        dialect: &'static str,
        header: &Header,
        payload: &[u8],
    ) -> Result<Self, DialectError> {
        let parsed = parse_hello(header.kind, Bytes::copy_from_slice(payload));
        let parsed = parsed.map_err(|error| DialectError {
            dialect,
            rule: error.to_string(),
        })?;
        Ok(Self {
            hello: header.msg_id,
            session_id: parsed.session_id,
            welcome: Welcome {
                fingerprint: parsed.hello.fingerprint,
                codec: parsed.hello.codecs.first().copied().unwrap_or(1),
                max_body: parsed.hello.max_body,
                server_name: dialect.to_owned(),
                ..Welcome::default()
            },
        })
    }

    /// Says Welcome.
    pub(super) fn answer(&self, output: &mut Vec<u8>) {
        let mark = begin_frame(output, &Header::control(FrameType::Ack, self.hello));
        write_welcome(output, self.session_id, &self.welcome);
        // A Welcome is short.
        let _ = finish_frame(output, mark);
    }
}

/// Says HELLO to the session of a server, for a foreign client.
#[cfg(any(feature = "flyrpc", feature = "messi"))]
pub(super) fn say_hello(
    id: MsgId,
    (session_id, hello): &(SessionId, msip_session::wire::Hello),
    output: &mut Vec<u8>,
) {
    let mark = begin_frame(output, &Header::control(FrameType::Hello, id));
    msip_session::wire::write_hello(output, *session_id, hello);
    // A HELLO is short.
    let _ = finish_frame(output, mark);
}

//! A raw peer: sends whatever a test wants over a bare connection: frames, halves of frames, and bytes that are none.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use msip_runtime::{
    Envelope, Protocol,
    bytes::Bytes,
    transport::{self, Listener, ServiceUrl, Stream},
    wire::{
        Codec, Decoder, Flags, Frame, FrameType, Header, Hello, Limits, MsgId, RawKind, SECRET_LEN,
        SessionId, Side, Welcome, write_hello, write_welcome,
    },
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{lab::Lab, soon};

/// The session of a raw client that comes back to it; others begin one of their own.
pub const SESSION: u64 = 0x0123_4567_89ab_cdef;

/// The next session that a raw client begins.
static NEXT_SESSION: AtomicU64 = AtomicU64::new(SESSION + 1);

/// The message id of a raw client's HELLO.
pub const HELLO_ID: MsgId = MsgId::exchange(Side::Connecting, 1);

/// One end of a connection without anything of a client or server behind it.
#[derive(Debug)]
pub struct RawPeer {
    stream: Stream,
    decoder: Decoder,
}

impl RawPeer {
    /// A raw peer at this end of a connection.
    #[must_use]
    pub fn new(stream: impl Into<Stream>) -> Self {
        let decoder = Decoder::new(Limits::default().max_payload());
        Self {
            stream: stream.into(),
            decoder,
        }
    }

    /// Connects to a server.
    ///
    /// # Panics
    ///
    /// When the connection is refused.
    pub async fn dial(url: &ServiceUrl) -> Self {
        match soon("a connection", transport::connect(url)).await {
            Ok(connection) => Self::new(connection.stream),
            Err(error) => panic!("{error}"),
        }
    }

    /// Takes the next client that connects.
    ///
    /// # Panics
    ///
    /// When the listener cannot accept.
    pub async fn accept(listener: &Listener) -> Self {
        let accepted = async { listener.accept().await?.upgrade().await };
        match soon("a client", accepted).await {
            Ok(connection) => Self::new(connection.stream),
            Err(error) => panic!("{error}"),
        }
    }

    /// Writes bytes. That the peer has closed is no failure here: what it sends, or does not, will show it.
    pub async fn say(&mut self, bytes: &[u8]) {
        let written = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        let _ = soon("the other side reads", written).await;
    }

    /// Writes bytes as far as they are taken, and returns how many: all of them, or those before the peer has closed, or
    /// took no more for 200 ms.
    pub async fn say_what_is_taken(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            let written = self.stream.write(rest);
            match tokio::time::timeout(Duration::from_millis(200), written).await {
                Ok(Ok(len)) if len > 0 => taken += len,
                _ => break,
            }
        }
        taken
    }

    /// Sends the end of file, and keeps the connection open for reading.
    pub async fn finish(&mut self) {
        // That the peer has closed is no failure here.
        let _ = soon("the end is sent", self.stream.shutdown()).await;
    }

    /// The next frame; `None` when the peer has closed, or broken, the connection.
    ///
    /// # Panics
    ///
    /// When what comes is no frame, or when nothing comes.
    pub async fn hear(&mut self) -> Option<Frame> {
        soon("a frame, or the end", self.hear_at_any_time()).await
    }

    /// The same, for as long as it takes.
    ///
    /// # Panics
    ///
    /// When what comes is no frame.
    pub async fn hear_at_any_time(&mut self) -> Option<Frame> {
        loop {
            match self.decoder.decode() {
                Ok(Some(frame)) => return Some(frame),
                Ok(None) => {}
                Err(error) => panic!("{error}"),
            }
            let read = self.stream.read_buf(self.decoder.buffer());
            match read.await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The next frame of this type; others are passed over.
    ///
    /// # Panics
    ///
    /// When the connection ends first.
    pub async fn hear_type(&mut self, frame_type: FrameType) -> Frame {
        let mut last = None;
        loop {
            match self.hear().await {
                Some(frame) if frame.header.frame_type == frame_type => return frame,
                Some(other) => last = Some(other),
                None => {
                    let last = last.as_ref().map(describe);
                    panic!("the connection ended before a {frame_type} came, after {last:?}")
                }
            }
        }
    }

    /// What the peer sends until it closes, a line for each frame; see [`describe`].
    pub async fn hear_to_the_end(&mut self) -> Vec<String> {
        let mut heard = Vec::new();
        while let Some(frame) = self.hear().await {
            heard.extend(describe(&frame));
        }
        heard
    }

    /// What the peer sends before it ends the exchange `id`, a line for each frame, and that frame; `None`
    /// where it closes instead.
    pub async fn hear_until(&mut self, id: MsgId) -> (Vec<String>, Option<Frame>) {
        let mut heard = Vec::new();
        while let Some(frame) = self.hear().await {
            if frame.header.msg_id == id
                && matches!(frame.header.frame_type, FrameType::Ack | FrameType::Error)
            {
                return (heard, Some(frame));
            }
            heard.extend(describe(&frame));
        }
        (heard, None)
    }

    /// Shakes hands as a client of the `lab` protocol.
    ///
    /// # Panics
    ///
    /// When the server refuses.
    pub async fn greet(&mut self) {
        self.greet_with(&hello()).await;
    }

    /// Shakes hands as a client, with this Hello.
    ///
    /// # Panics
    ///
    /// When the server refuses.
    pub async fn greet_with(&mut self, hello: &Hello) {
        self.say(&hello_frame(hello)).await;
        let answer = self.hear().await;
        assert!(
            answer
                .as_ref()
                .is_some_and(|frame| frame.header.frame_type == FrameType::Ack),
            "{answer:?}"
        );
    }

    /// Shakes hands as a server.
    ///
    /// # Panics
    ///
    /// When the client sends something else.
    pub async fn welcome(&mut self) {
        let hello = self.hear_type(FrameType::Hello).await;
        let session = hello.payload.first_chunk().copied().unwrap_or_default();
        let session = u64::from_be_bytes(session);
        self.say(&welcome_frame(hello.header.msg_id, session, &welcome()))
            .await;
    }

    /// Sends CLOSE and waits until the peer has closed too.
    pub async fn leave(mut self) {
        self.say(&frame(
            FrameType::Close,
            MsgId::CONNECTION,
            b"CANCELLED: done",
        ))
        .await;
        self.hear_to_the_end().await;
    }
}

/// The case of a table that is being played: a panic, such as that of a wait for what never comes, tells its name.
#[derive(Debug)]
pub struct Playing<'a>(pub &'a str);

impl Drop for Playing<'_> {
    #[expect(clippy::print_stderr, reason = "a failing test says where it failed")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("while playing `{}`", self.0);
        }
    }
}

/// A frame in one line, `ERROR c7: NOT_FOUND: no such thing`. `None` for what may come at any time: CREDIT, PING and
/// PONG.
#[must_use]
pub fn describe(frame: &Frame) -> Option<String> {
    let Header {
        frame_type, msg_id, ..
    } = frame.header;
    match frame_type {
        FrameType::Credit | FrameType::Ping | FrameType::Pong => None,
        FrameType::Error | FrameType::Close => Some(format!(
            "{frame_type} {msg_id}: {}",
            String::from_utf8_lossy(&frame.payload)
        )),
        _ => Some(format!("{frame_type} {msg_id}")),
    }
}

/// A frame with this payload and header, whose `payload_len` counts for nothing.
#[must_use]
pub fn frame_of(header: Header, payload: &[u8]) -> Vec<u8> {
    let payload_len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let mut bytes = Header {
        payload_len,
        ..header
    }
    .encode()
    .to_vec();
    bytes.extend_from_slice(payload);
    bytes
}

/// A frame without flags and variant, of kind STATE.
#[must_use]
pub fn frame(frame_type: FrameType, msg_id: MsgId, payload: &[u8]) -> Vec<u8> {
    frame_of(Header::control(frame_type, msg_id), payload)
}

/// A header that announces this payload, and nothing behind it.
#[must_use]
pub fn announced(frame_type: FrameType, msg_id: MsgId, payload_len: u32) -> Vec<u8> {
    Header {
        payload_len,
        ..Header::control(frame_type, msg_id)
    }
    .encode()
    .to_vec()
}

/// The answer of an exchange.
#[must_use]
pub fn answer<E: Envelope>(id: MsgId, message: &E) -> Vec<u8> {
    let header = Header {
        variant: variant(message),
        ..Header::control(FrameType::Ack, id)
    };
    frame_of(header, &body(message))
}

/// The body of a message.
#[must_use]
pub fn body<E: Envelope>(message: &E) -> Vec<u8> {
    let mut body = Vec::new();
    message.encode(&mut body);
    body
}

/// The number of a message's member.
#[must_use]
pub fn variant<E: Envelope>(message: &E) -> u16 {
    E::VARIANTS[message.index()].number()
}

/// The kind of a message's member.
#[must_use]
pub fn kind<E: Envelope>(message: &E) -> RawKind {
    E::VARIANTS[message.index()].kind().into()
}

/// What begins an exchange when this side is the one that does.
#[must_use]
pub const fn opener(side: Side) -> FrameType {
    match side {
        Side::Connecting => FrameType::Publish,
        Side::Accepting => FrameType::Event,
    }
}

/// A message of `side` on a direct connection, asking for what `flags` say.
#[must_use]
pub fn message<E: Envelope>(side: Side, flags: Flags, id: MsgId, message: &E) -> Vec<u8> {
    message_at("", side, flags, id, message)
}

/// As [`message`], at this topic.
#[must_use]
pub fn message_at<E: Envelope>(
    topic: &str,
    side: Side,
    flags: Flags,
    id: MsgId,
    message: &E,
) -> Vec<u8> {
    let header = Header {
        flags,
        kind: kind(message),
        variant: variant(message),
        ..Header::control(opener(side), id)
    };
    let topic_len = u16::try_from(topic.len()).unwrap_or(u16::MAX);
    let mut payload = topic_len.to_be_bytes().to_vec();
    payload.extend_from_slice(topic.as_bytes());
    message.encode(&mut payload);
    frame_of(header, &payload)
}

/// A Hello that a server of the `lab` protocol takes.
#[must_use]
pub fn hello() -> Hello {
    hello_of::<Lab>()
}

/// A Hello that a server of this protocol takes.
#[must_use]
pub fn hello_of<P: Protocol>() -> Hello {
    Hello {
        protocol: P::NAME.to_owned(),
        fingerprint: P::fingerprint(),
        codecs: vec![Codec::Protobuf.into()],
        session_secret: vec![7; SECRET_LEN],
        extensions: BTreeMap::new(),
        ..Hello::default()
    }
}

/// The payload of a HELLO that begins a new session.
#[must_use]
pub fn hello_payload(hello: &Hello) -> Vec<u8> {
    payload_for(NEXT_SESSION.fetch_add(1, Ordering::Relaxed), hello)
}

/// A whole HELLO that begins a new session.
#[must_use]
pub fn hello_frame(hello: &Hello) -> Vec<u8> {
    frame(FrameType::Hello, HELLO_ID, &hello_payload(hello))
}

/// A whole HELLO that begins [`SESSION`], or comes back to it.
#[must_use]
pub fn resuming_frame(hello: &Hello) -> Vec<u8> {
    frame(FrameType::Hello, HELLO_ID, &payload_for(SESSION, hello))
}

fn payload_for(session: u64, hello: &Hello) -> Vec<u8> {
    let mut payload = Vec::new();
    match SessionId::new(session) {
        Some(session) => write_hello(&mut payload, session, hello),
        None => panic!("no session"),
    }
    payload
}

/// A Welcome that a client of the `lab` protocol takes.
#[must_use]
pub fn welcome() -> Welcome {
    Welcome {
        fingerprint: Lab::fingerprint(),
        codec: Codec::Protobuf.into(),
        peer_id: 7,
        ..Welcome::default()
    }
}

/// The answer to the HELLO `id`, for the session of this number.
#[must_use]
pub fn welcome_frame(id: MsgId, session: u64, welcome: &Welcome) -> Vec<u8> {
    let mut payload = Vec::new();
    match SessionId::new(session) {
        Some(session) => write_welcome(&mut payload, session, welcome),
        // What a HELLO never holds, and a server may answer all the same.
        None => {
            payload.extend_from_slice(&[0; SessionId::LEN]);
            payload.extend_from_slice(&msip_runtime::prost::Message::encode_to_vec(welcome));
        }
    }
    frame(FrameType::Ack, id, &payload)
}

/// The text of an ERROR or a CLOSE, or nothing.
#[must_use]
pub fn text(payload: &Bytes) -> String {
    String::from_utf8_lossy(payload).into_owned()
}

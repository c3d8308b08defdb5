//! The raw peer, as both ends of a connection with a driver, and the frames of docs/protocol.md.

use msip_runtime::{MsgKind, wire::parse_welcome};
use msip_runtime::{
    Protocol as _,
    prost::Message,
    transport::{Listener, ServiceUrl},
    wire::{
        Flags, Frame, FrameType, Header, Hello, HelloFrame, Limits, Metadata, MsgId, Payload,
        RawKind, Side, Welcome, parse_hello, write_metadata,
    },
};
use msip_tests::raw::{self, RawPeer};

use crate::{
    end::End,
    pair::{Listening, Ways, serve, with_settings},
    process::Process,
    protocol::conformance::{
        Conformance,
        control::{Connect, Status, command::Command as Told},
    },
};

const PAGE: &str = include_str!("../../docs/protocol.md");

/// The peer id in Welcomes.
pub(crate) const PEER_ID: u64 = 7;

/// A block of the page: its name, and what is behind `hex:`.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub(crate) name: &'static str,
    pub(crate) error: &'static str,
    pub(crate) bytes: Vec<u8>,
}

/// Every block of the page that begins with this word.
pub(crate) fn blocks(word: &str) -> Vec<Block> {
    let fence = format!("```{word} name=");
    let mut blocks = Vec::new();
    let mut lines = PAGE.lines();
    while let Some(line) = lines.next() {
        let Some(name) = line.strip_prefix(&*fence) else {
            continue;
        };
        let mut error = "";
        for line in lines.by_ref().take_while(|line| *line != "hex:") {
            error = line.strip_prefix("error: ").unwrap_or(error);
        }
        let hex: String = lines.by_ref().take_while(|line| *line != "```").collect();
        let digits: Vec<_> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
        let bytes = digits.chunks(2).map(|pair| {
            pair.iter()
                .fold(0, |byte, digit| (byte << 4) | *digit as u8)
        });
        blocks.push(Block {
            name,
            error,
            bytes: bytes.collect(),
        });
    }
    blocks
}

/// The bytes of the vector of this name.
pub(crate) fn vector(name: &str) -> Vec<u8> {
    let found = blocks("vector")
        .into_iter()
        .find(|block| block.name == name);
    match found {
        Some(block) => block.bytes,
        None => panic!("the page has no vector {name}"),
    }
}

/// The same frame under another id.
pub(crate) fn with_id(mut frame: Vec<u8>, id: MsgId) -> Vec<u8> {
    if let Some(bytes) = frame.get_mut(16..24) {
        bytes.copy_from_slice(&id.number().to_be_bytes());
    }
    frame
}

/// An id of the raw peer's exchanges.
pub(crate) const fn id(side: Side, number: u64) -> MsgId {
    MsgId::exchange(side, number)
}

/// An id of the raw peer's deliveries.
pub(crate) const fn delivery(side: Side, number: u64) -> MsgId {
    MsgId::delivery(side, number)
}

/// A frame as bytes again.
pub(crate) fn bytes_of(frame: &Frame) -> Vec<u8> {
    raw::frame_of(frame.header, &frame.payload)
}

/// The next frame that is not about credit or pings.
pub(crate) async fn hear(peer: &mut RawPeer) -> Frame {
    match try_hear(peer).await {
        Some(frame) => frame,
        None => panic!("the connection has ended"),
    }
}

/// The same; `None` where the connection has ended.
pub(crate) async fn try_hear(peer: &mut RawPeer) -> Option<Frame> {
    loop {
        let frame = peer.hear().await?;
        match frame.header.frame_type {
            FrameType::Credit | FrameType::Ping | FrameType::Pong => {}
            _ => return Some(frame),
        }
    }
}

/// A frame in one line.
pub(crate) fn line(frame: &Frame) -> String {
    raw::describe(frame).unwrap_or_default()
}

/// The member of an envelope, as it is encoded.
pub(crate) fn envelope(variant: u16, message: &impl Message) -> Vec<u8> {
    let mut body = Vec::new();
    let key = u64::from(variant) << 3 | 2;
    msip_runtime::prost::encoding::encode_varint(key, &mut body);
    if message.encode_length_delimited(&mut body).is_err() {
        // A Vec grows.
        body.clear();
    }
    body
}

/// What begins an exchange, or is an item of one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Opening {
    pub(crate) flags: Flags,
    pub(crate) kind: Option<MsgKind>,
    pub(crate) variant: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) metadata: Option<Metadata>,
}

impl Opening {
    /// A call with one request.
    pub(crate) fn call(variant: u16, message: &impl Message) -> Self {
        Self {
            flags: Flags::ACK_REQUIRED,
            kind: Some(MsgKind::Command),
            variant,
            body: envelope(variant, message),
            metadata: None,
        }
    }

    /// A call with a stream of requests.
    pub(crate) fn stream(variant: u16) -> Self {
        Self {
            flags: Flags::ACK_REQUIRED | Flags::MORE,
            kind: Some(MsgKind::Command),
            variant,
            ..Self::default()
        }
    }

    /// An item of a stream of requests.
    pub(crate) fn item(variant: u16, message: &impl Message) -> Self {
        Self {
            flags: Flags::ITEM | Flags::MORE,
            kind: Some(MsgKind::State),
            variant,
            body: envelope(variant, message),
            metadata: None,
        }
    }

    /// A message, one way.
    pub(crate) fn event(variant: u16, message: &impl Message) -> Self {
        Self {
            kind: Some(MsgKind::Event),
            variant,
            body: envelope(variant, message),
            ..Self::default()
        }
    }

    /// The same with these flags besides.
    pub(crate) fn with(mut self, flags: Flags) -> Self {
        self.flags = self.flags | flags;
        self
    }

    /// The same with metadata.
    pub(crate) fn metadata(mut self, metadata: Metadata) -> Self {
        self.flags = self.flags | Flags::META;
        self.metadata = Some(metadata);
        self
    }

    /// The frame.
    pub(crate) fn frame(&self, side: Side, id: MsgId) -> Vec<u8> {
        let mut payload = Vec::new();
        if let Some(metadata) = &self.metadata
            && let Err(error) = write_metadata(&mut payload, metadata, 8_192)
        {
            panic!("{error}");
        }
        payload.extend_from_slice(&[0, 0]);
        payload.extend_from_slice(&self.body);
        let header = Header {
            flags: self.flags,
            kind: self
                .kind
                .map_or(RawKind::from(MsgKind::State), RawKind::from),
            variant: self.variant,
            ..Header::control(raw::opener(side), id)
        };
        raw::frame_of(header, &payload)
    }
}

/// An answer, or an item of one.
pub(crate) fn ack(id: MsgId, flags: Flags, variant: u16, body: &[u8]) -> Vec<u8> {
    let header = Header {
        flags,
        variant,
        ..Header::control(FrameType::Ack, id)
    };
    raw::frame_of(header, body)
}

/// The parts of a frame.
pub(crate) fn payload(frame: Frame) -> Payload {
    match Payload::parse(frame, &Limits::default()) {
        Ok(payload) => payload,
        Err(error) => panic!("{error}"),
    }
}

/// A Hello of this protocol.
pub(crate) fn hello() -> Hello {
    raw::hello_of::<Conformance>()
}

/// A Welcome of this protocol.
pub(crate) fn welcome() -> Welcome {
    Welcome {
        fingerprint: Conformance::fingerprint(),
        peer_id: PEER_ID,
        max_open_calls: 1024,
        session_expiry_ms: 60_000,
        ..raw::welcome()
    }
}

/// A server with these settings, a raw client that it serves, and the peer that this is.
pub(crate) async fn client_of(
    process: &Process,
    ways: &Ways,
    settings: &str,
) -> (RawPeer, End, Listening) {
    let server = serve(process, ways, settings).await;
    let mut client = server.dial().await;
    client.greet_with(&hello()).await;
    let peer = server.peer().await;
    (client, peer, server)
}

/// What a server says to a HELLO.
pub(crate) fn welcome_in(frame: Frame) -> Welcome {
    assert_eq!(frame.header.frame_type, FrameType::Ack, "{}", line(&frame));
    match parse_welcome(frame.payload) {
        Ok(welcome) => welcome.welcome,
        Err(error) => panic!("{error}"),
    }
}

/// A raw server, and a client that is told to connect to it.
pub(crate) struct RawServer {
    listener: Listener,
    pub(crate) client: End,
    told: u64,
}

impl RawServer {
    /// Listens, and lets a client with these settings connect.
    pub(crate) async fn of(process: &Process, ways: &Ways, settings: &str) -> Self {
        Self::holding(process, ways, settings, &[]).await
    }

    /// The same, with messages whose handlers wait.
    pub(crate) async fn holding(
        process: &Process,
        ways: &Ways,
        settings: &str,
        held: &[&str],
    ) -> Self {
        let url = ways.listen_url("");
        let listening = async {
            let url: ServiceUrl = url.parse().map_err(|error| format!("{error}"))?;
            let listener = Listener::bind(&url).await;
            listener.map_err(|error| error.to_string())
        };
        let listener: Listener = match listening.await {
            Ok(listener) => listener,
            Err(error) => panic!("{url}: {error}"),
        };
        let url = listener.local_url().to_string();
        let number = process.number();
        let told = Connect {
            endpoint: number,
            url: with_settings(url.split('?').next().unwrap_or_default(), settings),
            held: held.iter().copied().map(str::to_owned).collect(),
            ..Connect::default()
        };
        let told = process.begin(Told::Connect(told)).await;
        Self {
            listener,
            client: End {
                process: process.clone(),
                number,
            },
            told,
        }
    }

    /// The next connection, and its HELLO.
    pub(crate) async fn accept(&self) -> (RawPeer, MsgId, HelloFrame) {
        let mut peer = RawPeer::accept(&self.listener).await;
        let frame = peer.hear_type(FrameType::Hello).await;
        let id = frame.header.msg_id;
        match parse_hello(frame.header.kind, frame.payload) {
            Ok(hello) => (peer, id, hello),
            Err(error) => panic!("{error}"),
        }
    }

    /// The next connection, welcomed with this.
    pub(crate) async fn welcome(&self, welcome: &Welcome) -> (RawPeer, HelloFrame) {
        let (mut peer, id, hello) = self.accept().await;
        let answer = raw::welcome_frame(id, hello.session_id.number(), welcome);
        peer.say(&answer).await;
        (peer, hello)
    }

    /// The first connection, once the client says that it is connected.
    pub(crate) async fn connected(&self) -> (RawPeer, HelloFrame) {
        let connection = self.welcome(&welcome()).await;
        self.outcome()
            .await
            .unwrap_or_else(|status| panic!("does not connect: {status:?}"));
        self.client.connected().await;
        connection
    }

    /// Whether the client says that it has connected.
    pub(crate) async fn outcome(&self) -> Result<(), Status> {
        self.client.process.outcome(self.told).await.map(|_| ())
    }
}

/// Whether nothing more comes than pings and credit, as far as a ping and its pong show.
pub(crate) async fn round_trip(peer: &mut RawPeer, side: Side, number: u64) -> Vec<Frame> {
    let id = id(side, number);
    peer.say(&raw::frame(FrameType::Ping, id, b"")).await;
    let mut before = Vec::new();
    loop {
        match peer.hear().await {
            Some(frame) if frame.header.frame_type == FrameType::Pong => return before,
            Some(frame) => match frame.header.frame_type {
                FrameType::Credit | FrameType::Ping => {}
                _ => before.push(frame),
            },
            None => panic!("the connection has ended"),
        }
    }
}

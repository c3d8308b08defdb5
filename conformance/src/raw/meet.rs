//! A raw peer and a driver that are connected, whichever of the two is the client.

use std::collections::BTreeMap;

use msip_runtime::{
    Envelope as _, Variant,
    prost::Message,
    wire::{Compression, Flags, Frame, FrameType, Hello, MsgId, Side, Welcome},
};
use msip_tests::raw::{self, RawPeer};

use super::{
    Opening, RawServer, ack, envelope, hear, hear_to_the_end, hello, line, resumed, welcome,
    welcome_in,
};
use crate::{
    case::Driver,
    end::End,
    failure::fail,
    pair::{Listening, serve_with},
    protocol::conformance::{ClientToServer, ServerToClient, control::Serve},
};

/// The first id of a ping: what a case sends has smaller ones.
const FIRST_PING: u64 = 10_000;

/// How a raw peer and a driver meet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meeting<'a> {
    /// Settings of the driver.
    pub(crate) settings: &'a str,
    /// Messages whose handlers wait.
    pub(crate) held: &'a [&'a str],
    /// What bodies are compressed with.
    pub(crate) compression: Compression,
    /// Extensions of the raw peer.
    pub(crate) extensions: &'a [&'a str],
}

/// A raw peer and a driver, connected.
pub(crate) struct Met {
    pub(crate) raw: RawPeer,
    /// The raw peer's side.
    pub(crate) side: Side,
    /// The client of the driver, or the peer of its server.
    pub(crate) end: End,
    /// What the driver says that it understands.
    pub(crate) extensions: BTreeMap<String, Vec<u8>>,
    pub(crate) place: Place,
    next_ping: u64,
}

/// Where they meet.
pub(crate) enum Place {
    /// At a server of the driver.
    Server(Listening),
    /// At the raw peer.
    Client(RawServer),
}

impl Driver {
    /// Connects the raw peer to it, with these settings.
    pub(crate) async fn meet(&self, settings: &str) -> Met {
        let meeting = Meeting {
            settings,
            ..Meeting::default()
        };
        self.meet_as(&meeting).await
    }

    /// The same, as said.
    pub(crate) async fn meet_as(&self, meeting: &Meeting<'_>) -> Met {
        let extensions = meeting.extensions.iter();
        let extensions = extensions.map(|name| ((*name).to_owned(), Vec::new()));
        let extensions: BTreeMap<_, _> = extensions.collect();
        let (raw, end, extensions, place) = match self.raw_side {
            Side::Connecting => {
                let told = Serve {
                    url: self.ways.listen_url(meeting.settings),
                    held: meeting.held.iter().copied().map(str::to_owned).collect(),
                    ..Serve::default()
                };
                let listening = serve_with(&self.process, told).await;
                let mut compressions = vec![meeting.compression.into()];
                compressions.retain(|each| *each != i32::from(Compression::None));
                let hello = Hello {
                    compressions,
                    extensions,
                    ..hello()
                };
                let (raw, welcome) = begin(&listening, &hello).await;
                assert_eq!(welcome.compression(), meeting.compression);
                let peer = listening.peer().await;
                (raw, peer, welcome.extensions, Place::Server(listening))
            }
            Side::Accepting => {
                let server = RawServer::holding(self, meeting.settings, meeting.held).await;
                let welcome = Welcome {
                    compression: meeting.compression.into(),
                    extensions,
                    ..welcome()
                };
                let (raw, hello) = server.connected_by(&welcome).await;
                let client = server.client.clone();
                let extensions = hello.hello.extensions;
                (raw, client, extensions, Place::Client(server))
            }
        };
        Met {
            raw,
            side: self.raw_side,
            end,
            extensions,
            place,
            next_ping: FIRST_PING,
        }
    }
}

/// A raw client of this server, in the session to which it comes back.
async fn begin(listening: &Listening, hello: &Hello) -> (RawPeer, Welcome) {
    let mut raw = listening.dial().await;
    raw.say(&raw::resuming_frame(hello)).await;
    let welcome = welcome_in(hear(&mut raw).await);
    (raw, welcome)
}

impl Met {
    /// Loses the connection, and begins another one in the same session.
    pub(crate) async fn come_back(self) -> Self {
        drop(self.raw);
        let raw = match &self.place {
            Place::Server(listening) => {
                let (raw, welcome) = begin(listening, &hello()).await;
                assert!(welcome.resumed, "{welcome:?}");
                raw
            }
            Place::Client(server) => server.welcome(&resumed()).await.0,
        };
        Self { raw, ..self }
    }

    /// An id of the raw peer's exchanges.
    pub(crate) const fn id(&self, number: u64) -> MsgId {
        MsgId::exchange(self.side, number)
    }

    /// An id of the raw peer's deliveries.
    pub(crate) const fn delivery(&self, number: u64) -> MsgId {
        MsgId::delivery(self.side, number)
    }

    /// The number of a member that the raw peer says.
    pub(crate) fn said(&self, member: &str) -> u16 {
        match self.side {
            Side::Connecting => number_of(ClientToServer::VARIANTS, member),
            Side::Accepting => number_of(ServerToClient::VARIANTS, member),
        }
    }

    /// The number of a member that the driver says.
    pub(crate) fn heard(&self, member: &str) -> u16 {
        match self.side {
            Side::Connecting => number_of(ServerToClient::VARIANTS, member),
            Side::Accepting => number_of(ClientToServer::VARIANTS, member),
        }
    }

    /// A call with one request.
    pub(crate) fn call(&self, member: &str, message: &impl Message) -> Opening {
        Opening::call(self.said(member), message)
    }

    /// Begins an exchange.
    pub(crate) async fn begin(&mut self, opening: &Opening, id: MsgId) {
        let frame = opening.frame(self.side, id);
        self.raw.say(&frame).await;
    }

    /// Says an answer, or an item of one.
    pub(crate) async fn answer(
        &mut self,
        id: MsgId,
        flags: Flags,
        member: &str,
        message: &impl Message,
    ) {
        let number = self.said(member);
        let answer = ack(id, flags, number, &envelope(number, message));
        self.raw.say(&answer).await;
    }

    /// Acknowledges a delivery.
    pub(crate) async fn acknowledge(&mut self, id: MsgId) {
        self.raw.say(&ack(id, Flags::NONE, 0, b"")).await;
    }

    /// What the driver answers a call of the raw peer with.
    pub(crate) fn body(&self, member: &str, message: &impl Message) -> Vec<u8> {
        envelope(self.heard(member), message)
    }

    /// The next frame that is not about credit or pings.
    pub(crate) async fn hear(&mut self) -> Frame {
        hear(&mut self.raw).await
    }

    /// The id of what the driver begins next.
    pub(crate) async fn hear_opening(&mut self) -> Frame {
        let opener = raw::opener(self.side.reverse());
        self.raw.hear_type(opener).await
    }

    /// What comes until the connection has ended, a line for each frame.
    pub(crate) async fn hear_to_the_end(&mut self) -> Vec<String> {
        hear_to_the_end(&mut self.raw).await
    }

    /// The text of the ERROR that refuses this.
    pub(crate) async fn refusal(&mut self, id: MsgId) -> String {
        let frame = self.hear().await;
        let is_refusal = frame.header.frame_type == FrameType::Error;
        assert!(is_refusal && frame.header.msg_id == id, "{}", line(&frame));
        raw::text(&frame.payload)
    }

    /// What comes before the pong of a ping, besides pings and credit: nothing, where all has been handled.
    pub(crate) async fn round_trip(&mut self) -> Vec<Frame> {
        let id = self.id(self.next_ping);
        self.next_ping += 1;
        self.raw.say(&raw::frame(FrameType::Ping, id, b"")).await;
        let mut before = Vec::new();
        loop {
            match self.raw.hear().await {
                Some(frame) if frame.header.frame_type == FrameType::Pong => return before,
                Some(frame) => match frame.header.frame_type {
                    FrameType::Credit | FrameType::Ping => {}
                    _ => before.push(frame),
                },
                None => fail("the connection has ended"),
            }
        }
    }

    /// That the connection still serves, and has said nothing else.
    pub(crate) async fn goes_on(&mut self) {
        let frames: Vec<_> = self.round_trip().await.iter().map(line).collect();
        assert_eq!(frames, Vec::<String>::new());
    }
}

fn number_of(members: &[Variant], name: &str) -> u16 {
    match members.iter().find(|member| member.name() == name) {
        Some(member) => member.number(),
        None => fail(format_args!("there is no member {name}")),
    }
}

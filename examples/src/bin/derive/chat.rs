//! The schema of `proto/chat.proto`, in Rust types.

use msip_runtime::{ClientToServer, Message, ServerToClient};

/// What a client may say.
#[derive(Debug, Clone, PartialEq, ClientToServer)]
#[msip(protocol = "chat")]
pub enum ClientToServer {
    /// Enters the room under a name.
    #[msip(tag = 1)]
    ConnectReq(ConnectReq),
    /// Says something to everyone else in the room.
    #[msip(tag = 2)]
    MessageInd(MessageInd),
    /// Answers the server's question whether anyone is at the keyboard.
    #[msip(tag = 3)]
    PresenceRsp(PresenceRsp),
    /// Asks who is in the room, and at the keyboard.
    #[msip(tag = 4, timeout = "5s")]
    WhoReq(WhoReq),
}

/// What the server may say.
#[derive(Debug, Clone, PartialEq, ServerToClient)]
pub enum ServerToClient {
    /// Welcomes a client, and tells who is there.
    #[msip(tag = 1)]
    ConnectRsp(ConnectRsp),
    /// What somebody said.
    #[msip(tag = 2)]
    MessageInd(MessageInd),
    /// Somebody entered the room.
    #[msip(tag = 3)]
    JoinedInd(JoinedInd),
    /// Somebody left the room.
    #[msip(tag = 4)]
    LeftInd(LeftInd),
    /// Asks a client whether anyone is at the keyboard.
    #[msip(tag = 5, timeout = "2s")]
    PresenceReq(PresenceReq),
    /// Tells who is in the room.
    #[msip(tag = 6)]
    WhoRsp(WhoRsp),
}

/// Asks to enter the room.
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ConnectReq {
    /// The name to be known by: 1 to 20 letters, digits, `-` or `_`.
    #[msip(tag = 1)]
    pub user: String,
}

/// The room as it was on entering.
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ConnectRsp {
    /// A line for the newcomer.
    #[msip(tag = 1)]
    pub motd: String,
    /// Everyone in the room, the newcomer included.
    #[msip(tag = 2)]
    pub users: Vec<String>,
}

/// A line of talk.
#[derive(Debug, Clone, PartialEq, Message)]
pub struct MessageInd {
    /// Who says it. The server fills it in; what a client puts here is ignored.
    #[msip(tag = 1)]
    pub user: String,
    /// What is said.
    #[msip(tag = 2)]
    pub text: String,
}

/// Somebody entered.
#[derive(Debug, Clone, PartialEq, Message)]
pub struct JoinedInd {
    /// Who entered.
    #[msip(tag = 1)]
    pub user: String,
}

/// Somebody left.
#[derive(Debug, Clone, PartialEq, Message)]
pub struct LeftInd {
    /// Who left.
    #[msip(tag = 1)]
    pub user: String,
}

/// Is anyone there?
#[derive(Debug, Clone, PartialEq, Message)]
pub struct PresenceReq {}

/// How busy the person at the keyboard is.
#[derive(Debug, Clone, PartialEq, Message)]
pub struct PresenceRsp {
    /// True when somebody typed within the last minute.
    #[msip(tag = 1)]
    pub active: bool,
}

/// Who is there?
#[derive(Debug, Clone, PartialEq, Message)]
pub struct WhoReq {}

/// Everyone in the room.
#[derive(Debug, Clone, PartialEq, Message)]
pub struct WhoRsp {
    /// By name.
    #[msip(tag = 1)]
    pub people: Vec<Person>,
}

/// Somebody in the room.
#[derive(Debug, Clone, PartialEq, Message)]
pub struct Person {
    /// The name.
    #[msip(tag = 1)]
    pub user: String,
    /// True when somebody typed within the last minute; false, too, when the client did not answer in time.
    #[msip(tag = 2)]
    pub active: bool,
}

//! The protocol once more, in Rust types, for the device: it is built without a build script. That it is the same
//! protocol as `protocol.proto` is tested: the fingerprints agree.

use msip_runtime::{ClientToServer, Message, ServerToClient, bytes::Bytes};

/// What devices and operators may say to the hub.
#[derive(Debug, Clone, PartialEq, ClientToServer)]
#[msip(protocol = "fleet")]
pub enum ClientToServer {
    #[msip(tag = 1, timeout = "10s")]
    RegisterReq(RegisterReq),
    #[msip(tag = 2)]
    ChargeMetric(Charge),
    #[msip(tag = 3)]
    TraceLog(Line),
    #[msip(tag = 4, request = STREAM)]
    UploadReq(Piece),
    #[msip(tag = 5)]
    LocateRsp(Position),
    #[msip(tag = 6)]
    DriveRsp(Arrival),
    #[msip(tag = 7, timeout = "60s", idempotent, key = "device")]
    LocateReq(Locate),
    #[msip(tag = 8, timeout = "60s", key = "device")]
    DriveReq(Drive),
    #[msip(tag = 9, timeout = "5s")]
    NoticeReq(Line),
    #[msip(tag = 10, reply = STREAM)]
    WatchReq(WatchReq),
}

/// What the hub may say.
#[derive(Debug, Clone, PartialEq, ServerToClient)]
pub enum ServerToClient {
    #[msip(tag = 1)]
    RegisterRsp(RegisterRsp),
    #[msip(tag = 2)]
    UploadRsp(Stored),
    #[msip(tag = 3, timeout = "2s", idempotent)]
    LocateReq(Locate),
    #[msip(tag = 4, timeout = "60s")]
    DriveReq(Drive),
    #[msip(tag = 5)]
    NoticeInd(Line),
    #[msip(tag = 6)]
    LocateRsp(Position),
    #[msip(tag = 7)]
    DriveRsp(Arrival),
    #[msip(tag = 8)]
    NoticeRsp(Heard),
    #[msip(tag = 9)]
    WatchRsp(Report),
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct RegisterReq {
    #[msip(tag = 1)]
    pub model: String,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct RegisterRsp {}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct Charge {
    #[msip(tag = 1)]
    pub percent: u32,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct Line {
    #[msip(tag = 1)]
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct Piece {
    #[msip(tag = 1)]
    pub data: Bytes,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct Stored {
    #[msip(tag = 1)]
    pub len: u64,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct Locate {
    #[msip(tag = 1)]
    pub device: String,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct Position {
    #[msip(tag = 1)]
    pub place: String,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct Drive {
    #[msip(tag = 1)]
    pub device: String,
    #[msip(tag = 2)]
    pub place: String,
    #[msip(tag = 3)]
    pub steps: u32,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct Arrival {
    #[msip(tag = 1)]
    pub place: String,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct Heard {
    #[msip(tag = 1)]
    pub devices: u32,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct WatchReq {}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct Report {
    #[msip(tag = 1)]
    pub device: String,
    #[msip(tag = 2)]
    pub text: String,
}

//! `proto/lab.proto` in Rust types: its services are options here.

use msip_runtime::{ClientToServer, Message, ServerToClient};

#[derive(Debug, Clone, PartialEq, ClientToServer)]
#[msip(protocol = "lab")]
pub enum ClientToServer {
    #[msip(tag = 1)]
    EchoReq(EchoReq),
    #[msip(tag = 2)]
    NoteInd(NoteInd),
    #[msip(tag = 3, reply = ACK)]
    SaveInd(SaveInd),
    #[msip(tag = 4)]
    TickInd,
    #[msip(tag = 5, urgent)]
    AlarmInd(NoteInd),
    #[msip(tag = 6, timeout = "20s")]
    ActReq(ActReq),
    #[msip(tag = 7)]
    AskRsp(AskRsp),
    #[msip(tag = 8, reply = STREAM)]
    CountReq(CountReq),
    #[msip(tag = 9, request = STREAM)]
    SumReq(SumReq),
    #[msip(tag = 10, request = STREAM, reply = STREAM)]
    ShoutReq(ShoutReq),
}

#[derive(Debug, Clone, PartialEq, ServerToClient)]
pub enum ServerToClient {
    #[msip(tag = 1)]
    EchoRsp(EchoRsp),
    #[msip(tag = 2)]
    NoteInd(NoteInd),
    #[msip(tag = 3, reply = ACK)]
    SaveInd(SaveInd),
    #[msip(tag = 4)]
    ActRsp(ActRsp),
    #[msip(tag = 5)]
    AskReq(AskReq),
    #[msip(tag = 6)]
    CountRsp(CountRsp),
    #[msip(tag = 7)]
    SumRsp(SumRsp),
    #[msip(tag = 8)]
    ShoutRsp(ShoutRsp),
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct CountReq {
    #[msip(tag = 1)]
    pub from: u64,
    #[msip(tag = 2)]
    pub to: u64,
    #[msip(tag = 3)]
    pub ballast_len: u32,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct CountRsp {
    #[msip(tag = 1)]
    pub number: u64,
    #[msip(tag = 2)]
    pub ballast: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct SumReq {
    #[msip(tag = 1)]
    pub number: u64,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct SumRsp {
    #[msip(tag = 1)]
    pub sum: u64,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct ShoutReq {
    #[msip(tag = 1)]
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct ShoutRsp {
    #[msip(tag = 1)]
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct EchoReq {
    #[msip(tag = 1)]
    pub text: String,
    #[msip(tag = 2)]
    pub ballast: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct EchoRsp {
    #[msip(tag = 1)]
    pub text: String,
    #[msip(tag = 2)]
    pub ballast: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct NoteInd {
    #[msip(tag = 1)]
    pub number: u64,
    #[msip(tag = 2)]
    pub ballast: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct SaveInd {
    #[msip(tag = 1)]
    pub number: u64,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct ActReq {
    #[msip(tag = 1)]
    pub what: String,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct ActRsp {
    #[msip(tag = 1)]
    pub done: String,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct AskReq {
    #[msip(tag = 1)]
    pub question: String,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct AskRsp {
    #[msip(tag = 1)]
    pub answer: String,
}

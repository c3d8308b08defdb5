//! What the schema's checks say of options and pairs.

use msip_runtime::{ClientToServer, Message, ServerToClient};

#[derive(ClientToServer)]
#[msip(protocol = "ui")]
pub enum ClientToServer {
    #[msip(tag = 1, response = "conect_rsp")]
    EnterReq(Ping),
    #[msip(tag = 2, kind = EVENT)]
    ConnectReq(Ping),
    #[msip(tag = 3)]
    OpenReq(Ping),
    #[msip(tag = 4)]
    OpenRsp(Ping),
    #[msip(tag = 5, reply = STREAM)]
    ListReq(Ping),
    #[msip(tag = 6, reply = RESPONSE)]
    AskReq(Ping),
    #[msip(tag = 7, timeout = "5s", idempotent)]
    SayInd(Ping),
    #[msip(tag = 8, reply = ACK, timeout_ms = 0)]
    SaveInd(Ping),
    #[msip(tag = 9, key = "id", request = STREAM, response = "list_rsp")]
    Tick(Ping),
    #[msip(tag = 10, response = "list_rsp", reply = NONE)]
    GoReq(Ping),
    #[msip(tag = 11)]
    ClientConnected(Ping),
    #[msip(tag = 12)]
    Close(Ping),
    #[msip(tag = 13)]
    SendClose(Ping),
    #[msip(tag = 14, request = STREAM)]
    Part(Ping),
    #[msip(tag = 15, request = STREAM, reply = ACK)]
    PartInd(Ping),
    #[msip(tag = 16, request = STREAM)]
    SizeRsp(Ping),
}

#[derive(ServerToClient)]
pub enum ServerToClient {
    #[msip(tag = 1, urgent)]
    ConnectRsp(Ping),
    #[msip(tag = 2)]
    ListRsp(Ping),
    #[msip(tag = 3, name = "größe")]
    SizeInd(Ping),
    #[msip(tag = 4)]
    SizeReq(Ping),
}

#[derive(Message)]
pub struct Ping {}

fn main() {}

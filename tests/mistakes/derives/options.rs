//! Options that do not exist, or have values that do not.

use msip_runtime::{ClientToServer, Message, ServerToClient};

#[derive(ClientToServer)]
#[msip(protocol = "ui", rename_al = "camelCase")]
#[msip(package = "ui")]
#[msip(urgent)]
pub enum ClientToServer {
    #[msip(tag = 1, kinds = LOG)]
    FirstInd(Ping),
    #[msip(tag = 2, kind = STAT)]
    SecondInd(Ping),
    #[msip(tag = 3, reply = YES)]
    ThirdInd(Ping),
    #[msip(tag = 4, timeout = 5)]
    FourthInd(Ping),
    #[msip(tag = 5, timeout = "5 weeks")]
    FifthInd(Ping),
    #[msip(tag = 6, urgent = "yes")]
    SixthInd(Ping),
    #[msip(tag = 7, urgent(very))]
    SeventhInd(Ping),
    #[msip(tag = 8, tag = 9)]
    EighthInd(Ping),
    #[msip(tag = 10, response = connect_rsp)]
    NinthInd(Ping),
    #[msip(tag = 11, key)]
    TenthInd(Ping),
    #[msip(tag = 12, kind = EVENTS, reply = ACKS, nonsense = 1)]
    EleventhInd(Ping),
    #[msip(tag = 13, timeout_ms = 5000000000)]
    TwelfthInd(Ping),
    #[msip(tag = 14, rename = "other")]
    ThirteenthInd(Ping),
    #[msip(tag = 15, as = "sint32")]
    FourteenthInd(Ping),
    #[msip(tag = 16, request = RESPONSE)]
    FifteenthInd(Ping),
    #[msip(tag = 17, request)]
    SixteenthInd(Ping),
    #[msip(tag = 18, code = "")]
    SeventeenthInd(Ping),
    #[msip(tag = 19, code = 7)]
    EighteenthInd(Ping),
}

#[derive(ServerToClient)]
pub enum ServerToClient {
    #[msip(tag = 1)]
    PongInd(Ping),
}

#[derive(Message)]
pub struct Ping {}

fn main() {}

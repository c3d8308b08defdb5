//! Numbers of members that the schema's own checks refuse.

use msip_runtime::{ClientToServer, Message, ServerToClient};

#[derive(ClientToServer)]
#[msip(protocol = "ui")]
pub enum ClientToServer {
    #[msip(tag = 1)]
    FirstInd(Ping),
    #[msip(tag = 1)]
    SecondInd(Ping),
    #[msip(tag = 65536)]
    ThirdInd(Ping),
    #[msip(tag = 19500)]
    FourthInd(Ping),
    #[msip(tag = 0)]
    FifthInd(Ping),
    #[msip(tag = 65535)]
    SixthInd(Ping),
}

#[derive(ServerToClient)]
pub enum ServerToClient {
    #[msip(tag = 1)]
    PongInd(Ping),
}

#[derive(Message)]
pub struct Ping {}

fn main() {}

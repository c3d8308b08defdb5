//! The protocol has no name.

use msip_runtime::{ClientToServer, Message, ServerToClient};

#[derive(ClientToServer)]
pub enum ClientToServer {
    #[msip(tag = 1)]
    PingInd(Ping),
}

#[derive(ServerToClient)]
pub enum ServerToClient {
    #[msip(tag = 1)]
    PongInd(Ping),
}

#[derive(Message)]
pub struct Ping {}

fn main() {}

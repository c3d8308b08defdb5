//! A payload without the derive.

use msip_runtime::{ClientToServer, Message, ServerToClient};

#[derive(ClientToServer)]
#[msip(protocol = "ui")]
pub enum ClientToServer {
    #[msip(tag = 1)]
    PlainInd(Plain),
}

pub struct Plain {
    pub text: String,
}

#[derive(ServerToClient)]
pub enum ServerToClient {
    #[msip(tag = 1)]
    PongInd(Ping),
}

#[derive(Message)]
pub struct Ping {}

fn main() {}

//! A key of a state that carries nothing.

use msip_runtime::{ClientToServer, Message, ServerToClient};

#[derive(ClientToServer)]
#[msip(protocol = "ui")]
pub enum ClientToServer {
    #[msip(tag = 3, key = "id")]
    EmptyState,
}

#[derive(ServerToClient)]
pub enum ServerToClient {
    #[msip(tag = 1)]
    PongInd(Ping),
}

#[derive(Message)]
pub struct Ping {}

fn main() {}

//! The second half without the first, in a module inside one that has both.

use msip_runtime::{ClientToServer, Message, ServerToClient};

#[derive(ClientToServer)]
#[msip(protocol = "ui")]
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

mod inner {
    use msip_runtime::ServerToClient;

    #[derive(ServerToClient)]
    pub enum ServerToClient {
        #[msip(tag = 1)]
        PongInd(super::Ping),
    }
}

fn main() {}

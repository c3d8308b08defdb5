//! A name that no package has.

use msip_runtime::{ClientToServer, Message, ServerToClient};

#[derive(ClientToServer)]
#[msip(protocol = "my chat")]
pub enum ClientToServer {
    #[msip(tag = 1)]
    PingInd(Ping),
}

#[derive(ServerToClient)]
pub enum ServerToClient {}

#[derive(Message)]
pub struct Ping {}

fn main() {}

//! Tags that are missing, wrong, used twice or reserved: all at once.

use msip_runtime::{ClientToServer, Message, ServerToClient};

#[derive(ClientToServer)]
#[msip(protocol = "ui", reserved(4, 7..=9, "old_ind"))]
pub enum ClientToServer {
    FirstInd(Ping),
    #[msip(tag = 3)]
    SecondInd(Ping),
    ThirdInd(Ping),
    #[msip(tag = 8)]
    FourthInd(Ping),
    #[msip(tag = "5")]
    FifthInd(Ping),
    #[msip(tag = 6)]
    OldInd(Ping),
    SixthInd(Ping) = 6,
}

#[derive(ServerToClient)]
pub enum ServerToClient {
    #[msip(tag = 1)]
    PongInd(Ping),
}

#[derive(Message)]
pub struct Ping {}

fn main() {}

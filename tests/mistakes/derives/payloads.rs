//! Variants carry one message each.

use msip_runtime::{ClientToServer, Message, ServerToClient};

#[derive(ClientToServer)]
#[msip(protocol = "ui")]
pub enum ClientToServer {
    #[msip(tag = 1)]
    TextInd(String),
    #[msip(tag = 2)]
    NumbersInd(Vec<i32>),
    #[msip(tag = 3)]
    MoveInd { x: f64, y: f64 },
    #[msip(tag = 4)]
    TurnInd(Ping, Ping),
    #[msip(tag = 5)]
    MaybeInd(Option<Ping>),
    #[msip(tag = 6)]
    BoxInd(Box<Ping>),
    #[msip(tag = 7)]
    NothingInd(),
    #[msip(tag = 8)]
    UnitInd(()),
    #[msip(tag = 9)]
    LendInd(&'static Ping),
    #[msip(tag = 10)]
    InnerInd(#[msip(tag = 1)] Ping),
}

#[derive(ServerToClient)]
pub enum ServerToClient {
    #[msip(tag = 1)]
    PongInd(Ping),
}

#[derive(Message)]
pub struct Ping {}

fn main() {}

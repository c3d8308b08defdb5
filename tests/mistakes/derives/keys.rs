//! Keys that are no fields, or cannot be keys.

use msip_runtime::{ClientToServer, Message, ServerToClient};

#[derive(ClientToServer)]
#[msip(protocol = "ui")]
pub enum ClientToServer {
    #[msip(tag = 1, key = "vehicle")]
    VehicleState(VehicleState),
    #[msip(tag = 2, key = "parts")]
    PartsState(VehicleState),
}

#[derive(Message)]
pub struct VehicleState {
    #[msip(tag = 1)]
    pub vehicle_id: String,
    #[msip(tag = 2)]
    pub parts: Vec<String>,
}

#[derive(ServerToClient)]
pub enum ServerToClient {
    #[msip(tag = 1)]
    PongInd(Ping),
}

#[derive(Message)]
pub struct Ping {}

fn main() {}

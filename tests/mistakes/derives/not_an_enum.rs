//! The derives of the two halves stand on enums without parameters.

use msip_runtime::{ClientToServer, ServerToClient};

#[derive(ClientToServer)]
#[msip(protocol = "ui")]
pub struct ClientToServer {
    #[msip(tag = 1)]
    pub text: String,
}

#[derive(ServerToClient)]
pub enum ServerToClient<T> {
    #[msip(tag = 1)]
    PongInd(T),
}

fn main() {}

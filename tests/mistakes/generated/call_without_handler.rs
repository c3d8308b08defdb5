//! A server's handler leaves a call out. What is one-way it may leave out.

mod chat {
    include!(env!("MSIP_CHAT"));
}

use chat::{Chat, ConnectReq, ConnectRsp, HandleClientToServer};
use msip_runtime::{Peer, Status};

struct Room;

impl HandleClientToServer for Room {
    async fn on_connect_req(&self, _: &Peer<Chat>, _: ConnectReq) -> Result<ConnectRsp, Status> {
        Ok(ConnectRsp::default())
    }
}

fn main() {}

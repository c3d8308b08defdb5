//! A server's handler leaves a call out. What is one-way it may leave out.

use msip_runtime::{Peer, Status};
use msip_tests::tree::chat::{Chat, ConnectReq, ConnectRsp, HandleClientToServer};

struct Room;

impl HandleClientToServer for Room {
    async fn on_connect_req(&self, _: &Peer<Chat>, _: ConnectReq) -> Result<ConnectRsp, Status> {
        Ok(ConnectRsp::default())
    }
}

fn main() {}

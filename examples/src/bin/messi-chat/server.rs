//! The server: Messi's `main.c` of the chat's server, with MSIP's clients as well.

use std::error::Error;

use msip_examples::stop_signal;
use msip_runtime::{Peer, Server, Status};

use crate::schema::{
    BroadcastServerToClient as _, ConnectReq, ConnectRsp, HandleClientToServer, MessageInd,
    MessiChat,
};

/// Who a client is, as it has said.
struct User(String);

struct ChatServer;

impl HandleClientToServer for ChatServer {
    async fn on_connect_req(
        &self,
        peer: &Peer<MessiChat>,
        message: ConnectReq,
    ) -> Result<ConnectRsp, Status> {
        let dialect = peer.connection().dialect().unwrap_or("MSIP");
        println!("Client <{}> connected by {dialect}.", message.user);
        peer.extensions().insert(User(message.user));
        // In Messi: chat_server_init_connect_rsp() and chat_server_reply().
        Ok(ConnectRsp {})
    }

    async fn on_message_ind(&self, peer: &Peer<MessiChat>, message: MessageInd) {
        // In Messi: chat_server_init_message_ind() and chat_server_broadcast(). It reaches clients of both.
        peer.everyone().message_ind(message);
    }

    async fn on_client_gone(&self, peer: &Peer<MessiChat>) {
        if let Some(user) = peer.extensions().get::<User>() {
            println!("Client <{}> disconnected.", user.0);
        }
    }
}

/// Serves until it is told to stop.
pub(super) async fn run(url: &str, messi: &str) -> Result<(), Box<dyn Error>> {
    let stop = stop_signal()?;
    let server = Server::<MessiChat>::builder(url).also(messi).bind().await?;
    for url in server.local_urls() {
        println!("listening at {url} (Ctrl-C stops)");
    }
    server.serve_until(ChatServer, stop).await;
    Ok(())
}

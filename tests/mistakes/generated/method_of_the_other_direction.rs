//! A client asks what only a server may ask, and a server what only a client may.

mod chat {
    include!(env!("MSIP_CHAT"));
}

use chat::{Chat, PresenceReq, SendClientToServer as _, SendServerToClient as _, WhoReq};
use msip_runtime::{Client, Peer};

async fn ask(client: &Client<Chat>) {
    let _ = client.presence_req(PresenceReq {}).await;
}

async fn who(peer: &Peer<Chat>) {
    let _ = peer.who_req(WhoReq {}).await;
}

fn main() {
    let _ = (ask, who);
}

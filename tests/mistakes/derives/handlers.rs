//! What is generated for a variant points to it: a handler that is missing, and a call that is wrong.

use msip_runtime::{Client, ClientToServer, Message, Peer, ServerToClient};

#[derive(ClientToServer)]
#[msip(protocol = "ask")]
pub enum Up {
    #[msip(tag = 1)]
    AskReq(Body),
    #[msip(tag = 2)]
    SayInd(Body),
}

#[derive(ServerToClient)]
pub enum Down {
    #[msip(tag = 1)]
    AskRsp(Body),
    #[msip(tag = 2)]
    TellInd(Body),
}

#[derive(Message)]
pub struct Body {
    #[msip(tag = 1)]
    pub a: u32,
}

pub struct Handler;

impl HandleClientToServer for Handler {
    async fn on_say_ind(&self, _: &Peer<Ask>, _: Body) {}
}

pub async fn ask(client: Client<Ask>) {
    let _ = client.ask_req(3).await;
    let _ = client.say_ind().await;
}

fn main() {}

//! The client: Messi's `main.c` of the chat's client.

use std::error::Error;

use msip_runtime::{Client, DisconnectReason, Status};
use tokio::io::{AsyncBufReadExt as _, BufReader, stdin};

use crate::schema::{
    ConnectReq, HandleServerToClient, MessageInd, MessiChat, SendClientToServer as _,
};

struct Screen {
    user: String,
}

impl HandleServerToClient for Screen {
    async fn on_message_ind(&self, _: &Client<MessiChat>, message: MessageInd) {
        println!("<{}> {}", message.user, message.text);
    }

    async fn on_connected(&self, client: &Client<MessiChat>) -> Result<(), Status> {
        // At each connect: also after the server was away.
        let user = self.user.clone();
        client.connect_req(ConnectReq { user }).await?;
        println!("Connected to the server.");
        Ok(())
    }

    async fn on_disconnected(&self, _: &Client<MessiChat>, reason: DisconnectReason) {
        println!("Disconnected from the server: {reason}");
    }
}

/// Says each line until there is none.
pub(super) async fn run(user: String, url: &str) -> Result<(), Box<dyn Error>> {
    let screen = Screen { user: user.clone() };
    let client = Client::<MessiChat>::builder(url)
        .handler(screen)
        .connect()
        .await?;
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(text) = lines.next_line().await? {
        let user = user.clone();
        client.message_ind(MessageInd { user, text }).await?;
    }
    client.close().await;
    Ok(())
}

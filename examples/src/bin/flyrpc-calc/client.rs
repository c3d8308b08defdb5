//! The client: what FlyRPC's users say by `Call("add", …)`.

use std::error::Error;

use msip_runtime::{CallError, Client, Status};

use crate::schema::{AddReq, DivideReq, FlyrpcCalc, HandleServerToClient, SendClientToServer as _};

struct Screen;

impl HandleServerToClient for Screen {
    async fn on_told_ind(&self, _: &Client<FlyrpcCalc>, text: String) {
        println!("told: {text}");
    }

    async fn on_connected(&self, client: &Client<FlyrpcCalc>) -> Result<(), Status> {
        // At each connect: also after the server was away.
        client
            .name_ind(format!("client {}", std::process::id()))
            .await?;
        Ok(())
    }
}

/// Calculates, and says what comes of it.
pub(super) async fn run(a: i32, b: i32, url: &str) -> Result<(), Box<dyn Error>> {
    let client = Client::<FlyrpcCalc>::builder(url)
        .handler(Screen)
        .connect()
        .await?;
    let sum = client.add_req(AddReq { a, b }).await?.sum;
    println!("{a} + {b} = {sum}");
    match client.divide_req(DivideReq { a, b }).await {
        Ok(answer) => println!("{a} / {b} = {}", answer.quotient),
        // The code of FlyRPC's peers.
        Err(CallError::Status(status)) => println!("{a} / {b}: {}", status.message()),
        Err(error) => return Err(error.into()),
    }
    println!("{}", client.upper_req("that is all".to_owned()).await?);
    client.close().await;
    Ok(())
}

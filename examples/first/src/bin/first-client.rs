use first::greet::{ArrivedInd, Greet, HandleServerToClient, HelloReq, SendClientToServer};
use msip_runtime::Client;

struct Display;

impl HandleServerToClient for Display {
    async fn on_arrived_ind(&self, _: &Client<Greet>, message: ArrivedInd) {
        println!("{} is here too", message.name);
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_else(|| "world".to_owned());
    let url = args.next();
    let url = url.unwrap_or_else(|| "tcp://127.0.0.1:7401".to_owned());
    let client = Client::<Greet>::builder(&url)
        .handler(Display)
        .connect()
        .await?;

    let answer = client.hello_req(HelloReq { name }).await?;
    println!("{}", answer.greeting);

    // Others who come are told of until the user presses Enter.
    tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await??;
    client.close().await;
    Ok(())
}

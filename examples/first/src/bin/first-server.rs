use first::greet::{
    ArrivedInd, BroadcastServerToClient, Greet, HandleClientToServer, HelloReq, HelloRsp,
};
use msip_runtime::{Peer, Server, Status};

struct Greeter;

impl HandleClientToServer for Greeter {
    async fn on_hello_req(
        &self,
        peer: &Peer<Greet>,
        request: HelloReq,
    ) -> Result<HelloRsp, Status> {
        if request.name.is_empty() {
            return Err(Status::invalid_argument("a name is needed"));
        }
        let greeting = format!("hello, {}", request.name);
        peer.others().arrived_ind(ArrivedInd { name: request.name });
        Ok(HelloRsp { greeting })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1);
    let url = url.unwrap_or_else(|| "tcp://127.0.0.1:7401".to_owned());
    let server = Server::<Greet>::bind(&url).await?;
    println!("listening at {}", server.local_url());
    server.serve(Greeter).await;
    Ok(())
}

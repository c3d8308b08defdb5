//! The server: handlers that FlyRPC's users register by `OnMessage("add", …)`.

use std::error::Error;

use msip_examples::stop_signal;
use msip_runtime::{Code, Peer, Server, Status};

use crate::schema::{
    AddReq, AddRsp, BroadcastServerToClient as _, DivideReq, DivideRsp, FlyrpcCalc,
    HandleClientToServer,
};

/// Who a client is, as it has said.
struct Name(String);

struct Calculator;

impl HandleClientToServer for Calculator {
    async fn on_add_req(&self, peer: &Peer<FlyrpcCalc>, request: AddReq) -> Result<AddRsp, Status> {
        let AddReq { a, b } = request;
        let sum = a
            .checked_add(b)
            .ok_or_else(|| Status::new(Code::OutOfRange, "the sum is too large"))?;
        // It reaches clients of both.
        peer.everyone().told_ind(format!("{a} + {b} = {sum}"));
        Ok(AddRsp { sum })
    }

    async fn on_divide_req(
        &self,
        _: &Peer<FlyrpcCalc>,
        request: DivideReq,
    ) -> Result<DivideRsp, Status> {
        // For FlyRPC an error is a code of one's own: the text of an UNKNOWN.
        let quotient = request.a.checked_div(request.b);
        let quotient = quotient.ok_or_else(|| Status::new(Code::Unknown, "E_DIV"))?;
        Ok(DivideRsp { quotient })
    }

    async fn on_upper_req(&self, _: &Peer<FlyrpcCalc>, text: String) -> Result<String, Status> {
        Ok(text.to_uppercase())
    }

    async fn on_name_ind(&self, peer: &Peer<FlyrpcCalc>, name: String) {
        let dialect = peer.connection().dialect().unwrap_or("MSIP");
        println!("{name} speaks {dialect}");
        peer.extensions().insert(Name(name));
    }

    async fn on_client_gone(&self, peer: &Peer<FlyrpcCalc>) {
        if let Some(name) = peer.extensions().get::<Name>() {
            println!("{} is gone", name.0);
        }
    }
}

/// Serves until it is told to stop.
pub(super) async fn run(url: &str, flyrpc: &str) -> Result<(), Box<dyn Error>> {
    let stop = stop_signal()?;
    let server = Server::<FlyrpcCalc>::builder(url)
        .also(flyrpc)
        .bind()
        .await?;
    for url in server.local_urls() {
        println!("listening at {url} (Ctrl-C stops)");
    }
    server.serve_until(Calculator, stop).await;
    Ok(())
}

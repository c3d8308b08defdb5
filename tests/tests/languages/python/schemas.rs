//! Clients in Python of another release, at servers in Rust that compare schemas.

use msip_runtime::{Peer, Server, Status};
use msip_tests::rolling_old as old;

use super::programs::{program, said};

struct Echo;

impl old::HandleClientToServer for Echo {
    async fn on_fetch_req(
        &self,
        _: &Peer<old::Rolling>,
        request: old::FetchReq,
    ) -> Result<old::FetchRsp, Status> {
        let value = request.name;
        Ok(old::FetchRsp { value })
    }
}

#[tokio::test]
async fn a_newer_client_is_served_where_the_schemas_are_compatible() {
    let Some(mut command) = program("rolling_client.py") else {
        return;
    };
    let server = Server::<old::Rolling>::bind("tcp://127.0.0.1:0?schema=compatible")
        .await
        .expect("listens");
    let url = server.local_url().to_string();
    tokio::spawn(server.serve(Echo));
    assert_eq!(said(command.arg(url)).await, "tea\n");
}

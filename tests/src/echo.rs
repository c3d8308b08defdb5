//! An echo server of the `sampler` protocol.

use msip_runtime::{Peer, Server, Status, transport::ServiceUrl};

use crate::sampler::{
    BroadcastServerToClient as _, Chain, HandleClientToServer, Kinds, Sampler, Text, WellKnown,
};

/// The text of a request that is never answered.
pub const HANG: &str = "hang";

/// The handler.
#[derive(Debug, Clone, Copy, Default)]
pub struct Echo;

impl HandleClientToServer for Echo {
    /// Never returns where the text says so, and keeps the request.
    async fn on_kinds_req(&self, _: &Peer<Sampler>, request: Kinds) -> Result<Kinds, Status> {
        if request.a_string == HANG {
            std::future::pending::<()>().await;
        }
        Ok(request)
    }

    async fn on_well_known_req(
        &self,
        _: &Peer<Sampler>,
        request: WellKnown,
    ) -> Result<WellKnown, Status> {
        Ok(request)
    }

    async fn on_chain_req(&self, _: &Peer<Sampler>, request: Chain) -> Result<Chain, Status> {
        Ok(request)
    }

    async fn on_nothing_req(&self, _: &Peer<Sampler>) -> Result<(), Status> {
        Ok(())
    }

    async fn on_text_ind(&self, peer: &Peer<Sampler>, message: Text) {
        peer.everyone().text_ind(message);
    }

    async fn on_secret_ind(&self, peer: &Peer<Sampler>, message: Text) {
        peer.everyone().secret_ind(message);
    }
}

impl Echo {
    /// Serves at `url` in a task that the test's runtime ends.
    ///
    /// # Panics
    ///
    /// When it cannot listen.
    pub async fn start(url: &str) -> ServiceUrl {
        let server = match Server::<Sampler>::bind(url).await {
            Ok(server) => server,
            Err(error) => panic!("{error}"),
        };
        let url = server.local_url().clone();
        tokio::spawn(server.serve(Self));
        url
    }
}

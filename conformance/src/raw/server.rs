//! The raw peer as a server.

use msip_runtime::{
    transport::{Listener, ServiceUrl},
    wire::{FrameType, HelloFrame, MsgId, Welcome, parse_hello},
};
use msip_tests::raw::{self, RawPeer};

use super::welcome;
use crate::{
    case::Driver,
    end::End,
    failure::fail,
    pair::with_settings,
    protocol::conformance::control::{Connect, Status, command::Command as Told},
};

/// A raw server, and a client that is told to connect to it.
pub(crate) struct RawServer {
    listener: Listener,
    pub(crate) client: End,
    told: u64,
}

impl RawServer {
    /// Listens, and lets a client with these settings connect.
    pub(crate) async fn of(driver: &Driver, settings: &str) -> Self {
        Self::holding(driver, settings, &[]).await
    }

    /// The same, with messages whose handlers wait.
    pub(crate) async fn holding(driver: &Driver, settings: &str, held: &[&str]) -> Self {
        let Driver { process, ways, .. } = driver;
        let url = ways.listen_url("");
        let listening = async {
            let url: ServiceUrl = url.parse().map_err(|error| format!("{error}"))?;
            let listener = Listener::bind(&url).await;
            listener.map_err(|error| error.to_string())
        };
        let listener: Listener = match listening.await {
            Ok(listener) => listener,
            Err(error) => fail(format_args!("{url}: {error}")),
        };
        let url = listener.local_url().to_string();
        let number = process.number();
        let told = Connect {
            endpoint: number,
            url: with_settings(url.split('?').next().unwrap_or_default(), settings),
            held: held.iter().copied().map(str::to_owned).collect(),
            ..Connect::default()
        };
        let told = process.begin(Told::Connect(told)).await;
        Self {
            listener,
            client: End {
                process: process.clone(),
                number,
            },
            told,
        }
    }

    /// The next connection, and its HELLO.
    pub(crate) async fn accept(&self) -> (RawPeer, MsgId, HelloFrame) {
        let mut peer = RawPeer::accept(&self.listener).await;
        let frame = peer.hear_type(FrameType::Hello).await;
        let id = frame.header.msg_id;
        match parse_hello(frame.header.kind, frame.payload) {
            Ok(hello) => (peer, id, hello),
            Err(error) => fail(error),
        }
    }

    /// The next connection, welcomed with this.
    pub(crate) async fn welcome(&self, welcome: &Welcome) -> (RawPeer, HelloFrame) {
        let (mut peer, id, hello) = self.accept().await;
        let answer = raw::welcome_frame(id, hello.session_id.number(), welcome);
        peer.say(&answer).await;
        (peer, hello)
    }

    /// The first connection, once the client says that it is connected.
    pub(crate) async fn connected(&self) -> (RawPeer, HelloFrame) {
        self.connected_by(&welcome()).await
    }

    /// The same, welcomed with this.
    pub(crate) async fn connected_by(&self, welcome: &Welcome) -> (RawPeer, HelloFrame) {
        let connection = self.welcome(welcome).await;
        self.outcome()
            .await
            .unwrap_or_else(|status| fail(format_args!("does not connect: {status:?}")));
        self.client.connected().await;
        connection
    }

    /// Whether the client says that it has connected.
    pub(crate) async fn outcome(&self) -> Result<(), Status> {
        self.client.process.outcome(self.told).await.map(|_| ())
    }
}

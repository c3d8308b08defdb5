//! A client's handler of the `lab` protocol that tells the test what it sees.

use msip_runtime::{Client, ConnectError, DisconnectReason, Reconnect, Status};
use tokio::sync::mpsc;

use crate::lab::{AskReq, AskRsp, HandleServerToClient, Lab, NoteInd, SaveInd};

/// What happened to the client.
#[derive(Debug)]
pub enum SeenByClient {
    /// It has connected, or connected again.
    Connected,
    /// Its connection has ended.
    Disconnected(DisconnectReason),
    /// An attempt to connect has failed.
    Failed(ConnectError, u32),
    /// A note came.
    Note(u64),
    /// Something to save came.
    Save(u64),
}

/// The handler.
#[derive(Debug)]
pub struct LabClient {
    seen: mpsc::Sender<SeenByClient>,
    on_failure: Reconnect,
}

impl LabClient {
    /// A handler, and what it sees.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<SeenByClient>) {
        let (seen, events) = mpsc::channel(100_000);
        (
            Self {
                seen,
                on_failure: Reconnect::Backoff,
            },
            events,
        )
    }

    /// What to do when it cannot connect.
    #[must_use]
    pub fn on_failure(mut self, reconnect: Reconnect) -> Self {
        self.on_failure = reconnect;
        self
    }

    async fn see(&self, event: SeenByClient) {
        // A test that is over listens no more.
        let _ = self.seen.send(event).await;
    }
}

impl HandleServerToClient for LabClient {
    async fn on_note_ind(&self, _: &Client<Lab>, message: NoteInd) {
        self.see(SeenByClient::Note(message.number)).await;
    }

    async fn on_save_ind(&self, _: &Client<Lab>, message: SaveInd) -> Result<(), Status> {
        self.see(SeenByClient::Save(message.number)).await;
        Ok(())
    }

    async fn on_ask_req(&self, _: &Client<Lab>, request: AskReq) -> Result<AskRsp, Status> {
        Ok(AskRsp {
            answer: format!("{} me", request.question),
        })
    }

    async fn on_connected(&self, _: &Client<Lab>) {
        self.see(SeenByClient::Connected).await;
    }

    async fn on_disconnected(&self, _: &Client<Lab>, reason: DisconnectReason) {
        self.see(SeenByClient::Disconnected(reason)).await;
    }

    async fn on_connect_failure(&self, error: &ConnectError, attempt: u32) -> Reconnect {
        self.see(SeenByClient::Failed(error.clone(), attempt)).await;
        self.on_failure
    }
}

//! A client's handler of the `lab` protocol that records what it sees.

use msip_runtime::{Client, ConnectError, DisconnectReason, Reconnect, Status};
use tokio::sync::mpsc;

use crate::{
    Recorder,
    lab::{AskReq, AskRsp, HandleServerToClient, Lab, NoteInd, SaveInd},
    recorder,
    server::text_of,
    soon,
};

/// What happened to the client.
#[derive(Debug)]
pub enum SeenByClient {
    /// It has connected, or connected again.
    Connected,
    /// Its connection has ended.
    Disconnected(DisconnectReason),
    /// An attempt to connect has failed.
    Failed(ConnectError, u32),
    /// The server has closed the session.
    ClosedByServer(Status),
    /// A note came.
    Note(u64),
    /// Something to save came.
    Save(u64),
}

/// The handler.
#[derive(Debug)]
pub struct LabClient {
    seen: Recorder<SeenByClient>,
    on_failure: Reconnect,
    on_close: Reconnect,
}

impl LabClient {
    /// A handler, and what it sees.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<SeenByClient>) {
        let (seen, events) = recorder();
        (
            Self {
                seen,
                on_failure: Reconnect::Backoff,
                on_close: Reconnect::Stop,
            },
            events,
        )
    }

    /// Connects a client with such a handler, and returns what it sees.
    ///
    /// # Panics
    ///
    /// When it cannot connect.
    pub async fn connect(url: impl ToString) -> (Client<Lab>, mpsc::Receiver<SeenByClient>) {
        let (handler, events) = Self::new();
        let connecting = Client::<Lab>::builder(url.to_string())
            .handler(handler)
            .connect();
        match soon("a client", connecting).await {
            Ok(client) => (client, events),
            Err(error) => panic!("{error}"),
        }
    }

    /// What to do when it cannot connect.
    #[must_use]
    pub fn on_failure(mut self, reconnect: Reconnect) -> Self {
        self.on_failure = reconnect;
        self
    }

    /// What to do when the server has closed the session, and does not say it.
    #[must_use]
    pub fn on_close(mut self, reconnect: Reconnect) -> Self {
        self.on_close = reconnect;
        self
    }
}

impl HandleServerToClient for LabClient {
    async fn on_note_ind(&self, _: &Client<Lab>, message: NoteInd) {
        self.seen.record(SeenByClient::Note(message.number));
    }

    async fn on_save_ind(&self, _: &Client<Lab>, message: SaveInd) -> Result<(), Status> {
        self.seen.record(SeenByClient::Save(message.number));
        Ok(())
    }

    async fn on_ask_req(&self, _: &Client<Lab>, request: AskReq) -> Result<AskRsp, Status> {
        let answer = match request.question.strip_prefix("answer ") {
            Some(len) => text_of(len)?,
            None => format!("{} me", request.question),
        };
        Ok(AskRsp { answer })
    }

    async fn on_connected(&self, _: &Client<Lab>) -> Result<(), Status> {
        self.seen.record(SeenByClient::Connected);
        Ok(())
    }

    async fn on_disconnected(&self, _: &Client<Lab>, reason: DisconnectReason) {
        self.seen.record(SeenByClient::Disconnected(reason));
    }

    async fn on_closed_by_server(&self, status: &Status) -> Reconnect {
        self.seen
            .record(SeenByClient::ClosedByServer(status.clone()));
        self.on_close
    }

    async fn on_connect_failure(&self, error: &ConnectError, attempt: u32) -> Reconnect {
        self.seen
            .record(SeenByClient::Failed(error.clone(), attempt));
        self.on_failure
    }
}

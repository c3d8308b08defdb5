//! The handlers of both sides, which have the same members.

use std::sync::{Arc, Mutex};

use msip_runtime::{
    Client, ConnectError, DisconnectReason, Peer, Reconnect, Status, Stream, Streaming,
    prost::Message,
};

use super::{
    Driver,
    endpoint::{Endpoint, Handled},
    handling::Handler,
    lock, told,
};
use crate::protocol::conformance::{
    ClientToServer, Conformance, Count, Everything, HandleClientToServer, HandleServerToClient,
    Item, ServerToClient,
    control::{Closed, Connected, Disconnected, report::Report as Event},
};

/// The handlers of a client, or of a server.
#[derive(Clone)]
pub(super) struct Handlers(Arc<Handled>);

/// Calls and messages, by their names.
macro_rules! handlers {
    ($from:ty) => {
        handlers!(call $from, on_unary_req "unary_req" Item);
        handlers!(call $from, on_urgent_req "urgent_req" Item);
        handlers!(call $from, on_short_req "short_req" Item);
        handlers!(call $from, on_fields_req "fields_req" Everything);
        handlers!(message $from, on_note_ind "note_ind");
        handlers!(message $from, on_order_cmd "order_cmd");
        handlers!(message $from, on_place_state "place_state");
        handlers!(message $from, on_trace_log "trace_log");
        handlers!(message $from, on_charge_metric "charge_metric");
        handlers!(message $from, on_alarm_ind "alarm_ind");
        handlers!(message $from, on_plain_ind "plain_ind");

        async fn on_empty_req(&self, from: &$from) -> Result<(), Status> {
            self.begin(from, "empty_req", &()).returns(&from.call()).await
        }

        async fn on_tick_ind(&self, from: &$from) {
            // A message that nobody awaits has no outcome.
            let _ = self.told(from, "tick_ind", &()).await;
        }

        async fn on_save_ind(&self, from: &$from, message: Item) -> Result<(), Status> {
            self.told(from, "save_ind", &message).await
        }

        async fn on_upload_req(
            &self,
            from: &$from,
            requests: Streaming<Item>,
        ) -> Result<Count, Status> {
            let handler = self.begin(from, "upload_req", &());
            handler.reads(requests, &from.call()).await
        }

        async fn on_download_req(
            &self,
            from: &$from,
            request: Item,
        ) -> Result<impl Stream<Item = Result<Item, Status>> + Send + 'static, Status> {
            Ok(self.begin(from, "download_req", &request).answers(None))
        }

        async fn on_both_req(
            &self,
            from: &$from,
            requests: Streaming<Item>,
        ) -> Result<impl Stream<Item = Result<Count, Status>> + Send + 'static, Status> {
            Ok(self.begin(from, "both_req", &()).answers(Some(requests)))
        }
    };
    (call $from:ty, $method:ident $member:literal $message:ty) => {
        async fn $method(&self, from: &$from, request: $message) -> Result<$message, Status> {
            self.begin(from, $member, &request).returns(&from.call()).await
        }
    };
    (message $from:ty, $method:ident $member:literal) => {
        async fn $method(&self, from: &$from, message: Item) {
            // A message that nobody awaits has no outcome.
            let _ = self.told(from, $member, &message).await;
        }
    };
}

/// Who has sent something.
trait From {
    fn call(&self) -> msip_runtime::Call<'_>;
    /// What it is called.
    fn endpoint(&self, handled: &Handled) -> u64;
}

impl From for Client<Conformance> {
    fn call(&self) -> msip_runtime::Call<'_> {
        Self::call(self)
    }

    fn endpoint(&self, handled: &Handled) -> u64 {
        handled.endpoint
    }
}

impl From for Peer<Conformance> {
    fn call(&self) -> msip_runtime::Call<'_> {
        Self::call(self)
    }

    fn endpoint(&self, handled: &Handled) -> u64 {
        let mut peers = lock(&handled.peers);
        *peers
            .entry(self.id())
            .or_insert_with(|| handled.driver.number())
    }
}

impl Handlers {
    pub(super) fn new(driver: &Arc<Driver>, endpoint: u64, held: Vec<String>) -> Self {
        Self(Arc::new(Handled {
            driver: Arc::clone(driver),
            endpoint,
            held: held.into_iter().collect(),
            peers: Mutex::default(),
        }))
    }

    fn begin(&self, from: &impl From, member: &str, message: &impl Message) -> Handler {
        let endpoint = from.endpoint(&self.0);
        Handler::begin(&self.0.driver, endpoint, member, message, &from.call())
    }

    /// Handles a message that has no answer.
    async fn told(
        &self,
        from: &impl From,
        member: &str,
        message: &impl Message,
    ) -> Result<(), Status> {
        let handler = self.begin(from, member, message);
        if self.0.held.contains(member) {
            return handler.returns(&from.call()).await;
        }
        handler.done();
        Ok(())
    }

    /// Reports that a STATE was cleared, as a message of its key alone.
    fn cleared(&self, from: &impl From, state: &Item) {
        let endpoint = from.endpoint(&self.0);
        Handler::cleared(&self.0.driver, endpoint, "place_state", state);
    }
}

impl HandleClientToServer for Handlers {
    handlers!(Peer<Conformance>);

    async fn on_state_cleared(&self, peer: &Peer<Conformance>, state: ClientToServer) {
        if let ClientToServer::PlaceState(state) = state {
            self.cleared(peer, &state);
        }
    }

    async fn on_client_connected(&self, peer: &Peer<Conformance>) {
        let Handled {
            driver, endpoint, ..
        } = &*self.0;
        let number = peer.endpoint(&self.0);
        driver
            .endpoints()
            .insert(number, Endpoint::Peer(peer.clone()));
        let identity = peer.identity();
        driver.report(Event::Connected(Connected {
            endpoint: *endpoint,
            peer: number,
            resumed: peer.resumed(),
            user: identity
                .as_ref()
                .map_or_else(String::new, |identity| identity.user.clone()),
            roles: identity.map_or_else(Vec::new, |identity| identity.roles.clone()),
        }));
    }

    async fn on_client_disconnected(&self, peer: &Peer<Conformance>, _: DisconnectReason) {
        let endpoint = peer.endpoint(&self.0);
        self.0
            .driver
            .report(Event::Disconnected(Disconnected { endpoint }));
    }
}

impl HandleServerToClient for Handlers {
    handlers!(Client<Conformance>);

    async fn on_state_cleared(&self, client: &Client<Conformance>, state: ServerToClient) {
        if let ServerToClient::PlaceState(state) = state {
            self.cleared(client, &state);
        }
    }

    async fn on_connected(&self, client: &Client<Conformance>) -> Result<(), Status> {
        self.0.driver.report(Event::Connected(Connected {
            endpoint: self.0.endpoint,
            resumed: client.connection().resumed(),
            ..Connected::default()
        }));
        Ok(())
    }

    async fn on_disconnected(&self, _: &Client<Conformance>, _: DisconnectReason) {
        let endpoint = self.0.endpoint;
        self.0
            .driver
            .report(Event::Disconnected(Disconnected { endpoint }));
    }

    async fn on_closed_by_server(&self, status: &Status) -> Reconnect {
        self.0.driver.report(Event::Closed(Closed {
            endpoint: self.0.endpoint,
            status: Some(told(status)),
        }));
        Reconnect::Stop
    }

    async fn on_connect_failure(&self, _: &ConnectError, attempt: u32) -> Reconnect {
        // The first connect of a case has to work, or to fail at once.
        match attempt {
            _ if self.0.driver.endpoints().contains_key(&self.0.endpoint) => Reconnect::Backoff,
            _ => Reconnect::Stop,
        }
    }
}

//! Clients of other versions of the protocol: they call, and are called.

use std::sync::Arc;

use msip_runtime::{
    CallError, Client, ConnectError, DisconnectReason, Reconnect, Status, prost::Message as _,
};

use super::{Driver, decode, handling::Handler, told};
use crate::protocol::{
    changed,
    conformance::control::{
        Closed, Connect, Connected, Disconnected, Start, report::Report as Event,
    },
    renamed,
};

/// A client of another version.
#[derive(Clone)]
pub(super) enum OtherClient {
    Renamed(Client<renamed::Conformance>),
    Changed(Client<changed::Conformance>),
}

impl OtherClient {
    pub(super) async fn renamed(
        driver: &Arc<Driver>,
        told: &Connect,
    ) -> Result<Self, ConnectError> {
        let handlers = OtherHandlers::new(driver, told);
        let builder = Client::<renamed::Conformance>::builder(&told.url).handler(handlers);
        Ok(Self::Renamed(builder.connect().await?))
    }

    pub(super) async fn changed(
        driver: &Arc<Driver>,
        told: &Connect,
    ) -> Result<Self, ConnectError> {
        let handlers = OtherHandlers::new(driver, told);
        let builder = Client::<changed::Conformance>::builder(&told.url).handler(handlers);
        Ok(Self::Changed(builder.connect().await?))
    }

    /// Calls, and returns the answer as the version encodes it.
    pub(super) async fn call(&self, told: &Start) -> Result<Vec<u8>, CallError> {
        if told.member != "unary_req" {
            return Err(Status::unimplemented(&told.member).into());
        }
        Ok(match self {
            Self::Renamed(client) => {
                use renamed::SendClientToServer as _;
                let answer = client.unary_req(decode(&told.message)?).await?;
                answer.encode_to_vec()
            }
            Self::Changed(client) => {
                use changed::SendClientToServer as _;
                let answer = client.unary_req(decode(&told.message)?).await?;
                answer.encode_to_vec()
            }
        })
    }

    pub(super) async fn close(&self) {
        match self {
            Self::Renamed(client) => client.close().await,
            Self::Changed(client) => client.close().await,
        }
    }
}

/// The handlers of such a client.
struct OtherHandlers {
    driver: Arc<Driver>,
    endpoint: u64,
}

impl OtherHandlers {
    fn new(driver: &Arc<Driver>, told: &Connect) -> Self {
        Self {
            driver: Arc::clone(driver),
            endpoint: told.endpoint,
        }
    }
}

macro_rules! handlers {
    ($version:ident) => {
        impl $version::HandleServerToClient for OtherHandlers {
            async fn on_unary_req(
                &self,
                client: &Client<$version::Conformance>,
                request: $version::Item,
            ) -> Result<$version::Item, Status> {
                let call = client.call();
                let handler =
                    Handler::begin(&self.driver, self.endpoint, "unary_req", &request, &call);
                handler.returns(&call).await
            }

            async fn on_connected(
                &self,
                client: &Client<$version::Conformance>,
            ) -> Result<(), Status> {
                self.driver.report(Event::Connected(Connected {
                    endpoint: self.endpoint,
                    resumed: client.connection().resumed(),
                    ..Connected::default()
                }));
                Ok(())
            }

            async fn on_disconnected(
                &self,
                _: &Client<$version::Conformance>,
                _: DisconnectReason,
            ) {
                let endpoint = self.endpoint;
                self.driver
                    .report(Event::Disconnected(Disconnected { endpoint }));
            }

            async fn on_closed_by_server(&self, status: &Status) -> Reconnect {
                self.driver.report(Event::Closed(Closed {
                    endpoint: self.endpoint,
                    status: Some(told(status)),
                }));
                Reconnect::Stop
            }

            async fn on_connect_failure(&self, _: &ConnectError, _: u32) -> Reconnect {
                Reconnect::Stop
            }
        }
    };
}

handlers!(renamed);
handlers!(changed);

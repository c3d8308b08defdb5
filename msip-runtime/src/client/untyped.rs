//! The untyped client: its protocol is named while the program runs.

use std::{borrow::Cow, fmt, future::Future, ops::Deref, sync::Arc};

use super::{
    ClientBuilder, ClientShared, ConnectionInfo, ConnectionState, KeepOpen, Login,
    endpoint::UntypedEndpoint, establish::ProtocolId, login_hook::LoginHook, supervisor,
};
use crate::{
    CallError, ConnectError, SendError, Status,
    negotiation::Translations,
    raw::{
        Event, Grant, Handle, Inbound, Readiness, Service, SubscribeOptions, Subscribed, Untyped,
        UntypedPeer,
    },
};

/// A service, and the protocol that it is for; what the builder of an untyped client holds.
#[derive(Debug)]
pub struct UntypedService<S> {
    protocol: ProtocolId,
    service: S,
    login: Option<LoginHook>,
}

/// A client whose protocol is named while the program runs, and whose bodies are bytes to it.
///
/// It can be used as the [`Handle`] that it holds. When the last clone is dropped the connection is closed. It connects again
/// by itself, and resumes its session, as a typed [`Client`](crate::Client) does.
///
/// ```
/// use msip_runtime::{CallOptions, MsgKind, Variant, untyped::{UntypedClient, UntypedMessage}};
///
/// const NOTE_IND: Variant = Variant::new(2, "note_ind", MsgKind::Event);
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let client = UntypedClient::builder("tcp://127.0.0.1:7400", "chat", 0).connect().await?;
/// let note = UntypedMessage::new(&NOTE_IND, &b"an encoded body"[..]);
/// client.send(&note, &CallOptions::new()).await?;
/// client.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct UntypedClient {
    handle: Handle,
    shared: Arc<ClientShared>,
    _keep: Arc<KeepOpen>,
}

impl UntypedClient {
    /// The settings of a client of the protocol of this name, whose schema has this fingerprint.
    pub fn builder(
        url: impl AsRef<str>,
        protocol: impl Into<Cow<'static, str>>,
        fingerprint: u64,
    ) -> ClientBuilder<Untyped, UntypedService<Ignore>> {
        let protocol = ProtocolId {
            name: protocol.into(),
            fingerprint,
        };
        let service = UntypedService {
            protocol,
            service: Ignore,
            login: None,
        };
        ClientBuilder::new(url.as_ref(), service)
    }

    /// What is known of the connection, and its state to be watched.
    #[must_use]
    pub fn connection(&self) -> ConnectionInfo<'_> {
        ConnectionInfo::new(&self.shared)
    }

    /// The handle that sends to the server. It does not keep the connection open.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Subscribes to a topic of a broker, or to all that a filter names: a level `+` stands for one level, and a last level `#`
    /// for all that follow. What the broker keeps of it follows, and what is published there; the client's
    /// [service](ClientBuilder::service) receives it with its topic.
    ///
    /// There is one subscription for each filter as it is written; another one for it takes its place. It outlives connections,
    /// and is made again in a new session, as the first thing that is sent there:
    /// [`Event::SubscriptionLost`](crate::untyped::Event::SubscriptionLost) tells where the broker refuses it then.
    ///
    /// ```
    /// use msip_runtime::untyped::{SubscribeOptions, UntypedClient};
    ///
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = UntypedClient::builder("tcp://127.0.0.1:9000", "fleet", 0).connect().await?;
    /// client.subscribe("fleet/+/position", &SubscribeOptions::new()).await?;
    /// # client.close().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The broker refuses the filter, or the server is no broker; see [`CallError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves it open whether this session is subscribed; it is not made again in another one.
    ///
    /// # Protocol
    ///
    /// docs/protocol.md, "Subscribe".
    pub async fn subscribe(
        &self,
        filter: &str,
        options: &SubscribeOptions,
    ) -> Result<Subscribed, CallError> {
        let ask = options.ask(filter, false).map_err(SendError::Refused)?;
        let body = self
            .shared
            .connection
            .subscribe(&ask, options.limit())
            .await?;
        Ok(Subscribed::of_answer(body))
    }

    /// Revokes the subscription to this filter; no error where there is none.
    ///
    /// # Errors
    ///
    /// See [`CallError`]. The subscription is not made again in another session, whatever the outcome.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves it open whether it is revoked in this session.
    pub async fn unsubscribe(&self, filter: &str) -> Result<(), CallError> {
        let options = SubscribeOptions::new();
        let ask = options.ask(filter, true).map_err(SendError::Refused)?;
        self.shared.connection.subscribe(&ask, None).await.map(drop)
    }

    /// Enables topics for clients of the topic that this client serves. Another grant at the topic takes the place of the one
    /// before. It ends with the session, and is made again in a new one, as a subscription is.
    ///
    /// # Errors
    ///
    /// The broker refuses it; see [`CallError`].
    ///
    /// # Cancel safety
    ///
    /// As [`subscribe`](Self::subscribe).
    pub async fn grant(&self, topic: &str, grant: &Grant) -> Result<(), CallError> {
        let ask = grant.ask(topic).map_err(SendError::Refused)?;
        self.shared.connection.subscribe(&ask, None).await.map(drop)
    }

    /// Withdraws what was granted at a topic.
    ///
    /// # Errors
    ///
    /// See [`CallError`].
    ///
    /// # Cancel safety
    ///
    /// As [`unsubscribe`](Self::unsubscribe).
    pub async fn withdraw_grant(&self, topic: &str) -> Result<(), CallError> {
        let ask = Grant::withdrawal(topic).map_err(SendError::Refused)?;
        self.shared.connection.subscribe(&ask, None).await.map(drop)
    }

    /// Closes the connection: open calls may finish within `drain_timeout`. Returns when the connection and its task have
    /// ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the connection closing.
    pub async fn close(&self) {
        self.shared.request_stop();
        let mut state = self.shared.state.subscribe();
        // The sender is in `shared`, which we hold: it cannot be gone.
        let _ = state
            .wait_for(|state| matches!(state, ConnectionState::Closed))
            .await;
    }
}

impl Deref for UntypedClient {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl fmt::Debug for UntypedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("state", &*self.shared.state.borrow())
            .finish_non_exhaustive()
    }
}

impl<S: Service> ClientBuilder<Untyped, UntypedService<S>> {
    /// Gives what the server says to a service.
    pub fn service<T: Service>(self, service: T) -> ClientBuilder<Untyped, UntypedService<T>> {
        self.map_handler(|before| UntypedService {
            protocol: before.protocol,
            service,
            login: before.login,
        })
    }

    /// Runs this each time that the client has connected, or connected again: the place to log in. Default: nothing.
    ///
    /// It is what `on_connected` is to a typed client. Until it has returned, only the handle that it is given and the clones
    /// of that send; all others wait within their limits, and so does what the server says: the service hears of the
    /// connection, and of what came by it, afterwards. So it must not wait for either. Where it fails, or takes longer than
    /// `login_timeout`, [`connect`](Self::connect) fails with [`ConnectError::Login`] or [`ConnectError::LoginTimedOut`]; at
    /// a later connection the client tries again, later each time.
    ///
    /// ```
    /// use msip_runtime::{CallOptions, MsgKind, Variant, untyped::{UntypedClient, UntypedMessage}};
    ///
    /// const LOGIN_REQ: Variant = Variant::new(1, "login_req", MsgKind::Command).call(1);
    ///
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = UntypedClient::builder("tcp://127.0.0.1:7400", "chat", 0)
    ///     .on_connected(|server| async move {
    ///         let login = UntypedMessage::new(&LOGIN_REQ, &b"an encoded body"[..]);
    ///         server.call(&login, &CallOptions::new()).await?;
    ///         Ok(())
    ///     })
    ///     .connect()
    ///     .await?;
    /// # client.close().await;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn on_connected<F>(self, login: impl Fn(Handle) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), Status>> + Send + 'static,
    {
        self.map_handler(|before| UntypedService {
            login: Some(LoginHook::new(login)),
            ..before
        })
    }

    /// Connects. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// The address or a setting makes no sense, or this first connection failed: see [`ConnectError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the attempt up.
    pub async fn connect(self) -> Result<UntypedClient, ConnectError> {
        let (before, parts) = self.finish()?;
        parts.refuse_topic()?;
        parts.refuse_untyped()?;
        parts.refuse_channels()?;
        let UntypedService {
            protocol,
            service,
            login,
        } = before;
        let target = parts.target(protocol.clone(), Translations::none(), None);
        let ProtocolId { name, fingerprint } = protocol;
        let endpoint = |shared: &Arc<ClientShared>| UntypedEndpoint {
            service: Arc::new(service),
            peer: UntypedPeer::server(
                Handle::new(&shared.connection),
                name.into_owned(),
                fingerprint,
            ),
            login: login.map(|login| (login, logged_in(shared))),
        };
        let keep = supervisor::start(target, endpoint).await?;
        let shared = Arc::clone(&keep.0);
        Ok(UntypedClient {
            handle: Handle::new(&shared.connection),
            _keep: Arc::new(keep),
            shared,
        })
    }
}

/// What waits until the login of a connection is done.
fn logged_in(shared: &ClientShared) -> Readiness {
    let login = shared.login.subscribe();
    Readiness::new(move || {
        let mut login = login.clone();
        async move {
            // An error says that the client is gone.
            let _ = login.wait_for(|login| *login == Login::Done).await;
        }
    })
}

/// The service of a client without one: what is to be answered is answered with `UNIMPLEMENTED`, and the rest is ignored.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Ignore;

impl Service for Ignore {
    async fn serve(&self, _: UntypedPeer, mut inbound: Inbound) {
        while let Some(event) = inbound.next().await {
            if let Event::Exchange(exchange) = event {
                let number = exchange.message.number();
                exchange.refuse(crate::Status::unimplemented_variant(number));
            }
        }
    }
}

//! Connecting again: where, when, and for which session.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use tokio::time::sleep;

use super::{
    super::{
        ConnectionState, Reconnect,
        backoff::{Backoff, random},
        endpoint::Endpoint,
        establish::{Established, Identity, establish},
    },
    Disconnecting, Next, Supervisor,
    welcome::{agreed, is_same_session, remember},
};
use crate::{
    CloseReason, Code, ConnectError,
    driver::{HandlerTask, run_suspended},
    error::WithCauses,
    instruments,
    service::caught,
    transport::{Addresses, Stream},
};
use msip_session::wire::Decoder;

/// What came before an attempt to connect.
pub(super) enum Failed {
    /// Nothing that was not reported.
    Nothing,
    /// An attempt that failed after its handshake, which the handler is to hear of.
    Attempt(ConnectError),
    /// The handler has said how long to wait.
    After(Duration),
}

/// The outcome of reconnecting for a session.
pub(super) enum Reconnected {
    Resumed(Stream, Decoder, u64),
    Other(Next, &'static str),
}

/// Where to connect next, and when.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) addresses: Addresses,
    pub(super) backoff: Backoff,
    /// How many attempts have failed since the client was logged in.
    pub(super) failed_attempts: u32,
}

impl Route {
    /// How long to wait after an attempt, or before the first one: thousands of clients may have lost the same server.
    fn wait(&mut self) -> Duration {
        self.backoff.next(random().unwrap_or(u32::MAX))
    }
}

impl<E: Endpoint> Supervisor<E> {
    /// Connects again, while the handlers of the session that waits go on.
    pub(super) async fn resume(
        &mut self,
        identity: &Identity,
        handlers: &mut HandlerTask,
        disconnecting: &mut Option<Disconnecting>,
        failed: Failed,
    ) -> Reconnected {
        let shared = Arc::clone(&self.shared);
        let connection = &shared.connection;
        let mut stop = shared.stop.subscribe();
        let mut route = self.route.clone();
        let reconnecting = async {
            tokio::select! {
                established = self.reconnect(&mut route, failed, Some(identity)) => established,
                _ = stop.wait_for(|stop| *stop) => Err(CloseReason::ClosedByUs),
            }
        };
        let reconnecting = beside(disconnecting, reconnecting);
        let reconnected = run_suspended(connection, handlers, reconnecting).await;
        self.route = route;
        match reconnected {
            Some(Ok(established)) if is_same_session(&shared, &established.welcome.welcome) => {
                let welcome = &established.welcome.welcome;
                let login = connection.resume_for_login(&agreed(welcome));
                remember(
                    &shared,
                    welcome,
                    &established.address,
                    established.is_confidential,
                );
                Reconnected::Resumed(established.stream, established.decoder, login)
            }
            Some(Ok(established)) => Reconnected::Other(
                Next::Session(Box::new(established)),
                "the server does not know the session any more",
            ),
            Some(Err(reason)) => Reconnected::Other(Next::Stop(reason), "closed"),
            None if *shared.stop.borrow() => {
                Reconnected::Other(Next::Stop(CloseReason::ClosedByUs), "closed")
            }
            None => Reconnected::Other(
                Next::Nothing(Failed::Nothing),
                "more replies than `session_buffer` were kept for the server",
            ),
        }
    }

    /// Tries to resume a session, or to begin one, until it succeeds or the handler stops it.
    pub(super) async fn reconnect(
        &self,
        route: &mut Route,
        failed: Failed,
        session: Option<&Identity>,
    ) -> Result<Established, CloseReason> {
        let mut identity = session;
        let mut wait = match failed {
            Failed::Nothing => route.wait(),
            Failed::Attempt(error) => self.after_failure(error, route).await?,
            Failed::After(wait) => wait,
        };
        loop {
            sleep(wait).await;
            let addresses = &mut route.addresses;
            let connection = &self.shared.connection;
            let error = match establish(&self.target, addresses, connection, identity).await {
                Ok(established) => return Ok(established),
                Err(error) => error,
            };
            if error.is_refused_with(Code::Unauthenticated) {
                // The session is another's by now, or the credential is wrong: a new session is tried next, and then the old one
                // again. What was open in it is reported once another one has begun.
                identity = if identity.is_some() { None } else { session };
            }
            wait = self.after_failure(error, route).await?;
        }
    }

    /// Asks the handler how long to wait after an attempt that has failed.
    async fn after_failure(
        &self,
        error: ConnectError,
        route: &mut Route,
    ) -> Result<Duration, CloseReason> {
        route.failed_attempts = route.failed_attempts.saturating_add(1);
        let attempt = route.failed_attempts;
        instruments::connect_failed();
        tracing::warn!(attempt, error = %WithCauses(&error), "cannot connect");
        self.shared
            .state
            .send_replace(ConnectionState::Reconnecting {
                failed_attempts: attempt,
            });
        match caught(self.endpoint.connect_failure(&error, attempt)).await {
            Ok(Reconnect::Stop) => Err(CloseReason::GaveUp(Arc::new(error))),
            Ok(Reconnect::After(wait)) => Ok(wait),
            Ok(Reconnect::Backoff) => Ok(route.wait()),
            Err(panic) => {
                tracing::error!(panic, "on_connect_failure panicked");
                Ok(route.wait())
            }
        }
    }
}

/// Does `work`, and polls `other` beside it, which may have to go on after it.
async fn beside<T>(other: &mut Option<Disconnecting>, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    poll_fn(|task| {
        if let Some(running) = other
            && running.as_mut().poll(task).is_ready()
        {
            *other = None;
        }
        work.as_mut().poll(task)
    })
    .await
}

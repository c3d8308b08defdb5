//! The login of a session's connection: the subscription to the client's topic, and the handler's `on_connected`.

use std::future::pending;

use tokio::time::timeout;

use super::{
    super::{
        ConnectionState, Login, endpoint::Endpoint, login::login_outcome,
        subscription::SubscribeError,
    },
    SessionRun, Supervisor,
    reconnect::Failed,
};
use crate::{
    ConnectError,
    driver::{Driver, Ending},
    service::caught,
};

/// Why a login did not succeed.
pub(super) enum LoginFailure {
    /// Its connection has ended.
    Ended(Ending),
    Failed(ConnectError),
}

impl<E: Endpoint> Supervisor<E> {
    /// Runs the connection until the handler's `on_connected` has returned, which begins once the `on_disconnected` of the
    /// connection before has.
    pub(super) async fn log_in(
        &mut self,
        driver: &mut Driver,
        run: &mut SessionRun,
    ) -> Result<(), LoginFailure> {
        let login = run.login;
        let disconnecting = run.disconnecting.take();
        let limit = self.target.settings.login_timeout;
        let is_subscribed = &mut run.is_subscribed;
        let logging_in = async {
            if !*is_subscribed {
                self.subscribe(login).await?;
                *is_subscribed = true;
            }
            let connected = async {
                if let Some(disconnecting) = disconnecting {
                    disconnecting.await;
                }
                caught(self.endpoint.connected(login)).await
            };
            login_outcome(timeout(limit, connected).await, limit)
        };
        let outcome = tokio::select! {
            // Nothing is lost where it is dropped, and it is run again.
            ending = driver.run(&mut run.handlers) => return Err(LoginFailure::Ended(ending)),
            // Where its connection has ended there is nothing to log in to.
            outcome = logging_in => outcome,
        };
        outcome.map_err(LoginFailure::Failed)
    }

    /// Subscribes to the topic of the client, where it has one.
    async fn subscribe(&self, login: u64) -> Result<(), ConnectError> {
        let Some(spoken) = &self.spoken else {
            return Ok(());
        };
        match self.shared.subscribe(spoken, login).await {
            Ok(()) => Ok(()),
            // The driver knows better why.
            Err(SubscribeError::ConnectionEnded) => pending().await,
            Err(SubscribeError::Failed(error)) => Err(error),
        }
    }

    /// The login has failed. Returns how its connection ends, and what the handler is to hear of it.
    pub(super) async fn login_failed(
        &mut self,
        failure: LoginFailure,
        driver: &mut Driver,
        run: &mut SessionRun,
    ) -> (Ending, Failed) {
        match failure {
            LoginFailure::Ended(ending) => (ending, Failed::Nothing),
            LoginFailure::Failed(error) => {
                if let Some(first) = self.first_login.take() {
                    // Nobody waits where the future of `connect` was dropped.
                    let _ = first.send(Err(error));
                    self.shared.request_stop();
                    (driver.run(&mut run.handlers).await, Failed::Nothing)
                } else {
                    (Ending::LoginFailed, Failed::Attempt(error))
                }
            }
        }
    }

    /// The client is connected, and logged in.
    pub(super) fn is_connected(&mut self) {
        self.route.failed_attempts = 0;
        let shared = &self.shared;
        shared.connection.logged_in();
        shared.login.send_replace(Login::Done);
        shared.state.send_replace(ConnectionState::Connected);
        if *shared.stop.borrow() {
            // It was asked to close before there was a session to close.
            shared.request_stop();
        }
        if let Some(first) = self.first_login.take() {
            // Where nobody waits any more, the client is being closed.
            let _ = first.send(Ok(()));
        }
    }
}

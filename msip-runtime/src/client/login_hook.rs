//! The login of an untyped client, which has no handler with an `on_connected`.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use crate::{Status, raw::Handle};

type LoggingIn = Pin<Box<dyn Future<Output = Result<(), Status>> + Send>>;

/// What is run each time that the client has connected.
#[derive(Clone)]
pub(super) struct LoginHook(Arc<dyn Fn(Handle) -> LoggingIn + Send + Sync>);

impl LoginHook {
    pub(super) fn new<F>(login: impl Fn(Handle) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), Status>> + Send + 'static,
    {
        Self(Arc::new(move |handle| Box::pin(login(handle))))
    }

    /// Logs in by this handle.
    pub(super) fn run(&self, handle: Handle) -> LoggingIn {
        (self.0)(handle)
    }
}

impl fmt::Debug for LoginHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoginHook")
    }
}

//! What a service waits for before it is told of a connection: its client logs in.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

/// A wait.
pub(super) type Waiting = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

/// What begins such a wait, for each connection.
#[derive(Clone)]
pub(crate) struct Readiness(Arc<dyn Fn() -> Waiting + Send + Sync>);

impl Readiness {
    /// Ready when this is.
    pub(crate) fn new<F>(wait: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + Sync + 'static,
    {
        Self(Arc::new(move || Box::pin(wait())))
    }

    pub(super) fn wait(&self) -> Waiting {
        (self.0)()
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Readiness")
    }
}

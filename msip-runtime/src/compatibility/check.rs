//! The check of one peer's schema: pending, and then done.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::Poll,
};

use tokio::sync::watch;

use super::SchemaDifference;
use crate::{Status, driver::HandlerTask};

/// What the comparison with one peer has come to. There is none for a peer with the same fingerprint.
#[derive(Debug)]
pub(crate) struct SchemaCheck(watch::Sender<Option<Arc<SchemaDifference>>>);

/// Whether the session goes on after its check.
#[derive(Debug)]
pub(crate) enum Outcome {
    GoesOn,
    /// The setting `schema` refuses it.
    Refused(Status),
}

impl SchemaCheck {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(watch::Sender::new(None)))
    }

    /// One that has come to this.
    pub(crate) fn finished_with(difference: Arc<SchemaDifference>) -> Arc<Self> {
        Arc::new(Self(watch::Sender::new(Some(difference))))
    }

    pub(super) fn finish(&self, difference: SchemaDifference) {
        self.0.send_replace(Some(Arc::new(difference)));
    }

    /// Whether it is not known yet.
    pub(crate) fn is_pending(&self) -> bool {
        self.0.borrow().is_none()
    }

    /// The difference, once it is known.
    pub(crate) fn difference(&self) -> Option<Arc<SchemaDifference>> {
        self.0.borrow().clone()
    }

    /// Waits until it is known.
    pub(crate) async fn finished(&self) -> Option<Arc<SchemaDifference>> {
        let mut known = self.0.subscribe();
        let known = known.wait_for(Option::is_some).await;
        // The sender is in `self`: it cannot be gone.
        known.map_or(None, |known| known.clone())
    }
}

/// Runs the check of a peer's schema beside the handlers of its session, and no longer than these.
pub(crate) fn beside(
    check: impl Future<Output = Outcome> + Send + 'static,
    mut handlers: HandlerTask,
) -> HandlerTask {
    let mut check: Option<Pin<Box<_>>> = Some(Box::pin(check));
    Box::pin(poll_fn(move |task| {
        if let Some(checking) = &mut check
            && checking.as_mut().poll(task).is_ready()
        {
            check = None;
        }
        let polled = handlers.as_mut().poll(task);
        if polled.is_ready() {
            check = None;
            return Poll::Ready(());
        }
        polled
    }))
}

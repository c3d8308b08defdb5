//! The listeners of a server, which accept side by side.

use std::{
    future::{Future as _, poll_fn},
    io,
    sync::{Arc, Weak},
    task::Poll,
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use crate::{
    dialect::ServerDialect,
    transport::{Incoming, Listener, ServiceUrl},
};

/// How long a listener rests after a failed accept: at first, doubled with each, and at most.
const FIRST_WAIT: Duration = Duration::from_millis(5);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The listeners of a server, one at least. Each has its turn, and one that fails holds up no other.
#[derive(Debug)]
pub(super) struct Listeners {
    all: Vec<Accepting>,
    /// How many connections were accepted, by which it is decided who is asked first.
    turn: usize,
}

/// A connection that was accepted.
#[derive(Debug)]
pub(super) struct AcceptedConnection {
    pub(super) incoming: Incoming,
    /// What is spoken by it, where that is not MSIP.
    pub(super) dialect: Option<Arc<ServerDialect>>,
}

/// A listener, and what is spoken where it listens, if that is not MSIP.
pub(super) type SpokenListener = (Listener, Option<Arc<ServerDialect>>);

/// A listener could not accept a connection.
#[derive(Debug)]
pub(super) struct AcceptFailure {
    pub(super) url: ServiceUrl,
    pub(super) error: io::Error,
    /// How long it is not asked again.
    pub(super) wait: Duration,
}

impl Listeners {
    pub(super) fn new(first: SpokenListener, others: Vec<SpokenListener>) -> Self {
        let all = std::iter::once(first).chain(others);
        Self {
            all: all.map(Accepting::new).collect(),
            turn: 0,
        }
    }

    /// The listeners, for as long as they are here.
    pub(super) fn weak(&self) -> Vec<Weak<Listener>> {
        let all = self.all.iter();
        all.map(|accepting| Arc::downgrade(&accepting.listener))
            .collect()
    }

    /// Waits for the next connection at any of them.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no connection.
    pub(super) async fn accept(&mut self) -> Result<AcceptedConnection, AcceptFailure> {
        let count = self.all.len().max(1);
        let all = self.all.iter_mut();
        let mut accepts: Vec<_> = all.map(|accepting| Box::pin(accepting.accept())).collect();
        // From another one on each time, so that a crowd at one does not shut out those at another.
        accepts.rotate_left(self.turn % count);
        let accepted = poll_fn(|task| {
            for accept in &mut accepts {
                if let Poll::Ready(accepted) = accept.as_mut().poll(task) {
                    return Poll::Ready(accepted);
                }
            }
            Poll::Pending
        })
        .await;
        self.turn = self.turn.wrapping_add(1);
        accepted
    }
}

/// A listener, and how long it rests.
#[derive(Debug)]
struct Accepting {
    listener: Arc<Listener>,
    dialect: Option<Arc<ServerDialect>>,
    /// How long it rests after the next failure.
    wait: Duration,
    /// It rests until then, since its last accept has failed.
    until: Option<Instant>,
}

impl Accepting {
    fn new((listener, dialect): SpokenListener) -> Self {
        Self {
            listener: Arc::new(listener),
            dialect,
            wait: FIRST_WAIT,
            until: None,
        }
    }

    async fn accept(&mut self) -> Result<AcceptedConnection, AcceptFailure> {
        if let Some(until) = self.until {
            sleep_until(until).await;
        }
        match self.listener.accept().await {
            Ok(incoming) => {
                self.wait = FIRST_WAIT;
                self.until = None;
                let dialect = self.dialect.clone();
                Ok(AcceptedConnection { incoming, dialect })
            }
            Err(error) => {
                let wait = self.wait;
                self.wait = (wait * 2).min(LONGEST_WAIT);
                self.until = Some(Instant::now() + wait);
                let url = self.listener.local_url().clone();
                Err(AcceptFailure { url, error, wait })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{Connection, connect};

    #[tokio::test]
    async fn each_listener_has_its_turn() {
        let urls = ["mem://turn-of-one", "mem://turn-of-another"].map(|url| url.parse().unwrap());
        let [one, another] = &urls;
        let one = Listener::bind(one).await.unwrap();
        let another = Listener::bind(another).await.unwrap();
        let mut listeners = Listeners::new((one, None), vec![(another, None)]);
        let mut clients: Vec<Connection> = Vec::new();
        for url in urls.iter().cycle().take(20) {
            clients.push(connect(url).await.unwrap());
        }
        let mut accepted = Vec::new();
        for _ in 0..20 {
            let accept = listeners.accept().await.unwrap();
            accepted.push(accept.incoming.peer().to_string());
        }
        let turns: Vec<_> = urls
            .iter()
            .map(ToString::to_string)
            .cycle()
            .take(20)
            .collect();
        assert_eq!(accepted, turns);
    }
}

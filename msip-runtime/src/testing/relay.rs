//! A relay between the client and the server of a pair, which can break their connections.

use std::io;

use tokio::{
    sync::watch,
    task::{AbortHandle, JoinSet},
};

use crate::transport::{self, Incoming, Listener, ServiceUrl};

/// Forwards connections to the server, until the test breaks them.
#[derive(Debug)]
pub(super) struct Relay {
    /// The number of cuts so far. A connection ends when it changes.
    cuts: watch::Sender<u64>,
    task: AbortHandle,
}

impl Relay {
    /// Listens at one address in memory, and forwards connections to another.
    pub(super) async fn listen(from: &ServiceUrl, to: ServiceUrl) -> io::Result<Self> {
        let listener = Listener::bind(from).await?;
        let cuts = watch::Sender::new(0);
        let task = tokio::spawn(forward_all(listener, to, cuts.subscribe())).abort_handle();
        Ok(Self { cuts, task })
    }

    /// Breaks every connection.
    pub(super) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward_all(listener: Listener, to: ServiceUrl, cuts: watch::Receiver<u64>) {
    let mut connections = JoinSet::new();
    while let Ok(incoming) = listener.accept().await {
        let cuts = cuts.clone();
        let to = to.clone();
        connections.spawn(async move {
            // Both ends notice when it is over.
            let _ = forward(incoming, &to, cuts).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn forward(
    client: Incoming,
    to: &ServiceUrl,
    mut cuts: watch::Receiver<u64>,
) -> io::Result<()> {
    let cut = *cuts.borrow_and_update();
    let mut client = client.upgrade().await?;
    let mut server = transport::connect(to).await?;
    tokio::select! {
        ended = tokio::io::copy_bidirectional(&mut client.stream, &mut server.stream) => {
            ended.map(|_| ())
        }
        // If the sender was dropped, so was the pair.
        _ = cuts.wait_for(|cuts| *cuts != cut) => Ok(()),
    }
}

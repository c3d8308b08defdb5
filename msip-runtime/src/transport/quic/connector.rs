//! Opening connections.

use std::{
    future::{Future, poll_fn},
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::{Pin, pin},
    sync::{Mutex, PoisonError},
    task::Poll,
    time::Duration,
};

use quinn::ConnectError;
use tokio::{net::lookup_host, time::sleep};

use super::{
    super::{Address, Connect, Connection},
    endpoint::Endpoint,
    error::of_client,
    listener::{local_address, opened},
};

/// When the next address of a host is tried beside those that have not answered (RFC 8305, section 8): nobody says that
/// nobody listens at a UDP port.
const NEXT_AFTER: Duration = Duration::from_millis(250);

/// How many addresses of a host are tried.
const MAX_ADDRESSES: usize = 16;

/// Opens connections for a client, by one socket for each family of addresses.
pub(super) struct QuicConnector {
    config: quinn::ClientConfig,
    /// The name that the server's certificate must have, where it is not that of the host.
    server_name: Option<String>,
    has_datagrams: bool,
    v4: Mutex<Option<Endpoint>>,
    v6: Mutex<Option<Endpoint>>,
}

impl QuicConnector {
    pub(super) fn new(
        config: quinn::ClientConfig,
        server_name: Option<String>,
        has_datagrams: bool,
    ) -> Self {
        Self {
            config,
            server_name,
            has_datagrams,
            v4: Mutex::default(),
            v6: Mutex::default(),
        }
    }

    /// The socket for the family of this address, which is bound at its first use.
    fn endpoint(&self, address: SocketAddr) -> io::Result<Endpoint> {
        let (kept, any): (_, SocketAddr) = match address {
            SocketAddr::V4(_) => (&self.v4, (Ipv4Addr::UNSPECIFIED, 0).into()),
            SocketAddr::V6(_) => (&self.v6, (Ipv6Addr::UNSPECIFIED, 0).into()),
        };
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(endpoint) = &*kept {
            return Ok(endpoint.clone());
        }
        let endpoint = Endpoint::bind(any, None)?;
        *kept = Some(endpoint.clone());
        Ok(endpoint)
    }

    /// Forgets the sockets: one of them is broken. Connections in use keep theirs.
    fn forget_endpoints(&self) {
        for kept in [&self.v4, &self.v6] {
            *kept.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    async fn connect_to(&self, address: SocketAddr, host: &str) -> io::Result<Connection> {
        let endpoint = self.endpoint(address)?;
        let name = self.server_name.as_deref().unwrap_or(host);
        let connecting = endpoint
            .quinn
            .connect_with(self.config.clone(), address, name)
            .map_err(|error| {
                if error == ConnectError::EndpointStopping {
                    self.forget_endpoints();
                }
                io::Error::new(io::ErrorKind::InvalidInput, error)
            })?;
        let connection = connecting.await.map_err(of_client)?;
        let streams = connection.open_bi().await.map_err(of_client)?;
        let local = local_address(endpoint.quinn.local_addr()?, connection.local_ip());
        Ok(opened(
            streams,
            connection,
            endpoint,
            local,
            self.has_datagrams,
        ))
    }
}

impl Connect for QuicConnector {
    async fn connect(&self, address: &Address) -> io::Result<Connection> {
        // `parse` lets no other address through.
        let wrong = || io::Error::new(io::ErrorKind::InvalidInput, "no host and port");
        let (host, port) = address.host().zip(address.port()).ok_or_else(wrong)?;
        // The zone of an IPv6 address is no part of a name.
        let name = host.split('%').next().unwrap_or(&host);
        let found = lookup_host((&*host, port)).await?;
        let attempts = found
            .take(MAX_ADDRESSES)
            .map(|address| self.connect_to(address, name));
        let none = || {
            let text = format!("the host {host:?} has no address");
            io::Error::new(io::ErrorKind::NotFound, text)
        };
        first_of(attempts).await.unwrap_or_else(|| Err(none()))
    }
}

/// The first success: each attempt begins when one before it has failed, or has had its time. Else the last error; `None` of no
/// attempts.
async fn first_of<T, F>(attempts: impl Iterator<Item = F>) -> Option<io::Result<T>>
where
    F: Future<Output = io::Result<T>>,
{
    let mut waiting = attempts;
    let mut running: Vec<Pin<Box<F>>> = Vec::new();
    let mut last_error = None;
    loop {
        let Some(next) = waiting.next() else {
            break;
        };
        running.push(Box::pin(next));
        let mut time = pin!(sleep(NEXT_AFTER));
        let outcome = poll_fn(|task| {
            if let Poll::Ready(outcome) = poll_any(&mut running, task) {
                return Poll::Ready(Some(outcome));
            }
            time.as_mut().poll(task).map(|()| None)
        });
        match outcome.await {
            Some(Ok(success)) => return Some(Ok(success)),
            Some(Err(error)) => last_error = Some(error),
            None => {}
        }
    }
    while !running.is_empty() {
        match poll_fn(|task| poll_any(&mut running, task)).await {
            Ok(success) => return Some(Ok(success)),
            Err(error) => last_error = Some(error),
        }
    }
    last_error.map(Err)
}

/// The next outcome of any of them, which is removed.
fn poll_any<F: Future>(
    running: &mut Vec<Pin<Box<F>>>,
    task: &mut std::task::Context<'_>,
) -> Poll<F::Output> {
    for place in 0..running.len() {
        if let Some(attempt) = running.get_mut(place)
            && let Poll::Ready(outcome) = attempt.as_mut().poll(task)
        {
            drop(running.swap_remove(place));
            return Poll::Ready(outcome);
        }
    }
    Poll::Pending
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    type Attempt = Pin<Box<dyn Future<Output = io::Result<u8>>>>;

    fn fails() -> Attempt {
        Box::pin(ready(Err(io::ErrorKind::ConnectionRefused.into())))
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_does_not_answer_holds_up_the_next_for_a_moment() {
        let begun = tokio::time::Instant::now();
        let attempts: [Attempt; 3] = [fails(), Box::pin(pending()), Box::pin(ready(Ok(3)))];
        let first = first_of(attempts.into_iter()).await;
        assert_eq!(first.unwrap().unwrap(), 3);
        assert_eq!(begun.elapsed(), NEXT_AFTER);
        let slow: [Attempt; 2] = [
            Box::pin(async {
                sleep(NEXT_AFTER * 2).await;
                Ok(1)
            }),
            fails(),
        ];
        assert_eq!(first_of(slow.into_iter()).await.unwrap().unwrap(), 1);
    }

    #[tokio::test]
    async fn where_all_fail_the_last_error_is_told() {
        let error = first_of([fails(), fails()].into_iter()).await;
        let error = error.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(first_of(std::iter::empty::<Attempt>()).await.is_none());
    }
}

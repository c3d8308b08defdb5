//! The UDP socket of a server, for the datagrams of all its connections.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    net::{UdpSocket, lookup_host},
    time::sleep,
};

use super::{
    super::{
        Address,
        tcp::{address_of, host_and_port, no_address},
    },
    OnRefused, SCHEME,
    table::LaneTable,
};

/// How long nothing is read after an error: at first, doubled with each, and at most.
const FIRST_WAIT: Duration = Duration::from_millis(5);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Longer than any datagram that is taken: one that is longer has to be told from one that fits.
const BUFFER_LEN: usize = 2048;

/// A socket at which a server takes datagrams.
#[derive(Debug)]
pub(crate) struct UdpListener {
    socket: Arc<UdpSocket>,
    local: Address,
    port: u16,
}

impl UdpListener {
    /// Binds a socket to an address. Of a host with several addresses, the first that it can be bound to is taken.
    pub(crate) async fn bind(address: &Address) -> io::Result<Self> {
        let (host, port) = host_and_port(address)?;
        let mut outcome = Err(no_address(&host));
        for address in lookup_host((&*host, port)).await? {
            outcome = UdpSocket::bind(address).await;
            if outcome.is_ok() {
                break;
            }
        }
        let socket = outcome?;
        let local = socket.local_addr()?;
        Ok(Self {
            socket: Arc::new(socket),
            local: address_of(local).with_scheme(SCHEME),
            port: local.port(),
        })
    }

    /// Where it takes datagrams, with the port that the system chose.
    pub(crate) fn local(&self) -> &Address {
        &self.local
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Takes datagrams for the connections of this table, until the future is dropped.
    pub(crate) async fn serve(self, table: Arc<LaneTable>, refused: OnRefused) {
        let mut buffer = vec![0; BUFFER_LEN];
        let mut wait = FIRST_WAIT;
        loop {
            match self.socket.recv_from(&mut buffer).await {
                Ok((len, from)) => {
                    wait = FIRST_WAIT;
                    let datagram = buffer.get(..len).unwrap_or_default();
                    if let Err(why) = table.receive(datagram, from, &self.socket) {
                        refused(why);
                    }
                }
                // Windows says so of what was sent to a client that has gone, and of what is longer than the buffer.
                Err(error) if is_of_one_datagram(&error) => {}
                Err(error) => {
                    tracing::debug!(%error, ?wait, "no datagrams can be received");
                    sleep(wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
    }
}

fn is_of_one_datagram(error: &io::Error) -> bool {
    /// `WSAEMSGSIZE`.
    const TOO_LONG: i32 = 10040;
    error.kind() == io::ErrorKind::ConnectionReset
        || (cfg!(windows) && error.raw_os_error() == Some(TOO_LONG))
}

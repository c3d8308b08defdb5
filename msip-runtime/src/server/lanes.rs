//! The datagrams over UDP that a server gives its clients.

use std::io;
#[cfg(feature = "datagram")]
use std::sync::Arc;

use msip_session::wire::{Hello, Welcome};
use tokio::task::JoinSet;

use super::peer_connection::Remote;
#[cfg(feature = "datagram")]
use crate::{
    instruments::{Side, datagram_refused},
    transport::{LaneTable, RefusedDatagram, UDP_DATAGRAMS, UdpListener},
};
use crate::{
    settings::Settings,
    transport::{Address, LaneKinds, Stream},
};

/// The UDP sockets of a server that does not serve yet.
#[derive(Debug, Default)]
pub(super) struct UdpListeners {
    #[cfg(feature = "datagram")]
    all: Vec<UdpListener>,
}

/// Gives connections their datagrams, where the server takes some.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    /// The connections that have datagrams, and the port that they are told.
    #[cfg(feature = "datagram")]
    table: Option<(Arc<LaneTable>, u16)>,
}

/// The messages that a client asks to have sent by datagrams over UDP.
pub(super) fn asked_kinds(hello: &Hello) -> Option<LaneKinds> {
    #[cfg(feature = "datagram")]
    return LaneKinds::parse(hello.extensions.get(UDP_DATAGRAMS)?);
    #[cfg(not(feature = "datagram"))]
    {
        let _ = hello;
        None
    }
}

impl UdpListeners {
    /// Takes datagrams at this address. Returns the address with what the system has chosen.
    #[cfg(feature = "datagram")]
    pub(super) async fn listen_at(&mut self, address: &Address) -> io::Result<Address> {
        let bound = UdpListener::bind(address).await?;
        let local = bound.local().clone();
        self.all.push(bound);
        Ok(local)
    }

    /// There is no address of datagrams.
    #[cfg(not(feature = "datagram"))]
    pub(super) async fn listen_at(&mut self, _: &Address) -> io::Result<Address> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Begins to take datagrams, in these tasks.
    pub(super) fn begin(self, tasks: &mut JoinSet<()>) -> Lanes {
        #[cfg(feature = "datagram")]
        {
            let port = self.all.first().map(UdpListener::port);
            let table = port.map(|port| (Arc::<LaneTable>::default(), port));
            for listener in self.all {
                if let Some((table, _)) = &table {
                    let count = |why: RefusedDatagram| datagram_refused(Side::Server, why.name());
                    tasks.spawn(listener.serve(Arc::clone(table), count));
                }
            }
            Lanes { table }
        }
        #[cfg(not(feature = "datagram"))]
        {
            let _ = tasks;
            Lanes {}
        }
    }
}

impl Lanes {
    /// Gives a connection its datagrams, and tells the client so, where it asks for these kinds. The key goes over the connection:
    /// there are none where others could read it, unless `insecure` says that the network between is trusted.
    pub(super) fn open(
        &self,
        asked: Option<LaneKinds>,
        remote: &Remote,
        settings: &Settings,
        welcome: &mut Welcome,
        stream: Stream,
    ) -> Stream {
        #[cfg(feature = "datagram")]
        if let (Some(kinds), Some((table, port))) = (asked, &self.table)
            && (remote.is_confidential || settings.insecure)
        {
            match table.open(*port, kinds, remote.address.ip()) {
                Ok((value, lane)) => {
                    welcome.extensions.insert(UDP_DATAGRAMS.to_owned(), value);
                    return stream.with_lane(lane);
                }
                Err(error) => tracing::warn!(%error, "no random numbers: no datagrams over UDP"),
            }
        }
        #[cfg(not(feature = "datagram"))]
        let _ = (self, asked, remote, settings, welcome);
        stream
    }
}

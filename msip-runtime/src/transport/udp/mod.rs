//! Datagrams over UDP, `udp://host:port`: for the LOG and METRIC messages of connections of other transports (docs/protocol.md,
//! "Datagrams over UDP").
//!
//! A datagram is authentic, and neither secret nor sure to arrive. What is not authentic leaves no trace but a count.

mod client;
mod datagram;
#[cfg(any(test, fuzzing))]
mod fuzzing;
mod grant;
mod listener;
mod replay_window;
mod sending;
mod table;
#[cfg(test)]
mod tests;

use std::io;

use msip_session::wire::Side;

pub(crate) use client::{client_lane, look_up};
pub(crate) use datagram::RefusedDatagram;
#[cfg(any(test, fuzzing))]
pub(crate) use fuzzing::udp_datagram;
pub(crate) use grant::{LaneGrant, UDP_DATAGRAMS};
pub(crate) use listener::UdpListener;
pub(crate) use table::LaneTable;

use super::{
    Address, Connector, TransportOptions, TransportSettingError, UrlError,
    incoming::BoxFuture,
    listen::BoxListen,
    scheme::{ListenError, Transport},
    tcp::{Tcp, parse_host_port},
};

/// Counts a datagram that was not taken.
pub(crate) type OnRefused = fn(RefusedDatagram);

const SCHEME: &str = "udp";

/// The addresses of UDP. There are no streams, so no connection by it.
pub(super) struct Udp;

impl Transport for Udp {
    fn scheme(&self) -> &'static str {
        SCHEME
    }

    fn has_streams(&self) -> bool {
        false
    }

    fn settings(&self, side: Side) -> &'static [&'static str] {
        match side {
            // A channel has it as well.
            Side::Connecting => &[],
            Side::Accepting => &["insecure"],
        }
    }

    fn parse(&self, authority: &str, _: &str) -> Result<Vec<Address>, UrlError> {
        Ok(vec![parse_host_port(authority)?.with_scheme(SCHEME)])
    }

    fn is_confidential(&self, address: &Address) -> bool {
        Tcp.is_confidential(address)
    }

    fn connector(&self, _: &TransportOptions) -> Result<Connector, TransportSettingError> {
        Ok(Connector::new(|_| async { Err(no_streams()) }))
    }

    fn listen<'a>(
        &'a self,
        _: &'a Address,
        _: &'a TransportOptions,
    ) -> BoxFuture<'a, Result<(BoxListen, Address), ListenError>> {
        Box::pin(async { Err(no_streams().into()) })
    }
}

fn no_streams() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, UrlError::DatagramsOnly)
}

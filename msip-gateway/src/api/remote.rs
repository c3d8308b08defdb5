//! From where a request has come.

use std::net::IpAddr;

/// Who has sent a request: the other end of its connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RemoteAddress {
    pub(crate) ip: IpAddr,
    pub(crate) transport: Transport,
}

/// Over what a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    UnixSocket,
}

//! The trait of transports, each of which has a URL scheme.

use std::io;

use super::{Address, Connection, UrlError, incoming::BoxFuture, listen::BoxListen};

/// A transport: it makes streams, by connecting to an address of its scheme and by listening at one.
pub(crate) trait Transport: Send + Sync {
    /// The scheme of its URLs, in lower case.
    fn scheme(&self) -> &'static str;

    /// Whether the path of a URL is short for the setting `topic`, rather than a part of the address.
    fn path_is_topic(&self) -> bool {
        true
    }

    /// The addresses that a URL names, one at least. The path is empty where it is the topic.
    fn parse(&self, authority: &str, path: &str) -> Result<Vec<Address>, UrlError>;

    /// Whether all that is sent to this address is confidential, as far as the address alone tells.
    fn is_confidential(&self, address: &Address) -> bool;

    /// Opens a connection, ready to carry MSIP. Dropping the future closes what is half open.
    fn connect<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, io::Result<Connection>>;

    /// Listens, and returns the address, with what the system has chosen.
    fn listen<'a>(
        &'a self,
        address: &'a Address,
    ) -> BoxFuture<'a, io::Result<(BoxListen, Address)>>;
}

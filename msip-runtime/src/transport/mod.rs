//! Bytes in and out: how one peer reaches another, and nothing of what they say.

mod address;
mod addresses;
mod connection;
mod escape;
mod listener;
mod memory;
mod stream;
mod tcp;
#[cfg(test)]
mod tests;
mod url;

pub use address::{Address, PeerAddress};
pub use addresses::AddressOrder;
pub(crate) use addresses::Addresses;
pub(crate) use connection::connect_to;
pub use connection::{Connection, connect};
pub use listener::Listener;
pub use memory::memory_pair;
pub use stream::{Io, Stream};
pub use url::{ServiceUrl, UrlError};

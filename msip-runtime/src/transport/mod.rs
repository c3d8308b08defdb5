//! Transports: how one peer's bytes reach another, and nothing of what they say.
//!
//! A transport connects to addresses of its scheme and listens at them; `tcp`, `unix` and `mem` are here, and `tls`, `quic` and
//! WebSockets with the features of those names. With the feature `datagram` there is `udp`, which has datagrams alone. By `mip`, `mip+tls` and `mip+unix` a
//! client speaks MIP, and by `messi`, `messi+tls` and `messi+unix` both sides speak Messi, with the feature `messi`; the same holds for `flyrpc`. At `mm` and
//! `mm+tls` a broker hears MiddleMan, with the feature `middleman`. To bring another one, give a client a [`Connect`] and a server a [`Listen`], or
//! hand a server single connections by its [`Acceptor`](crate::Acceptor). docs/transports.md says what a stream has to keep to.

mod address;
mod addresses;
mod connect;
mod connection;
mod connector;
mod dialect_name;
mod error;
mod escape;
mod foreign;
mod incoming;
mod lane;
mod listen;
mod listener;
mod memory;
#[cfg(feature = "middleman")]
mod middleman;
mod options;
mod peer;
mod proxied;
#[cfg(feature = "quic")]
mod quic;
mod registry;
mod renamed;
#[cfg(feature = "testing")]
mod rough;
mod scheme;
mod setting_error;
mod stream;
mod tcp;
#[cfg(test)]
mod tests;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tls")]
mod tls_over_tcp;
#[cfg(feature = "datagram")]
mod udp;
#[cfg(unix)]
mod unix;
mod url;
#[cfg(feature = "websocket")]
mod websocket;

pub use address::Address;
pub use addresses::AddressOrder;
pub(crate) use addresses::Addresses;
pub use connect::connect;
pub(crate) use connect::connector_of;
pub use connection::Connection;
pub use connector::Connect;
pub(crate) use connector::Connector;
pub(crate) use dialect_name::DialectName;
pub use error::UrlError;
pub(crate) use incoming::BoxFuture;
pub use incoming::Incoming;
pub(crate) use lane::{Lane, LaneKinds};
pub(crate) use listen::BoxListen;
pub use listen::Listen;
pub use listener::Listener;
pub use memory::memory_pair;
pub(crate) use options::{GivenOptions, TransportOptions};
pub(crate) use peer::Source;
pub use peer::{CertificateName, PeerAddress, PeerCredential};
pub use registry::is_confidential;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub use rough::RoughStream;
pub(crate) use scheme::ListenError;
pub use setting_error::TransportSettingError;
pub use stream::{Io, Stream};
#[cfg(feature = "tls")]
pub use tls::{ClientAuth, ClientTls, Pem, ServerTls, TlsError};
#[cfg(all(any(test, fuzzing), feature = "datagram"))]
pub(crate) use udp::udp_datagram as fuzz_udp_datagram;
#[cfg(feature = "datagram")]
pub(crate) use udp::{
    LaneGrant, LaneTable, RefusedDatagram, UDP_DATAGRAMS, UdpListener, client_lane, look_up,
};
pub(crate) use url::CHANNEL_SETTING;
pub use url::ServiceUrl;
#[cfg(all(any(test, fuzzing), feature = "websocket"))]
pub(crate) use websocket::websocket as fuzz_websocket;

/// The TLS library, for configs of your own: [`ClientTls::from_rustls`] and [`ServerTls::from_rustls`].
#[cfg(feature = "tls")]
pub use tokio_rustls::rustls;

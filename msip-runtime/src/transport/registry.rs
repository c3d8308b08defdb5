//! The registry of transports, by scheme.

#[cfg(feature = "flyrpc")]
use super::foreign::FLYRPC;
#[cfg(all(feature = "flyrpc", feature = "tls"))]
use super::foreign::FLYRPC_TLS;
#[cfg(all(feature = "flyrpc", unix))]
use super::foreign::FLYRPC_UNIX;
#[cfg(feature = "messi")]
use super::foreign::MESSI;
#[cfg(all(feature = "messi", feature = "tls"))]
use super::foreign::MESSI_TLS;
#[cfg(all(feature = "messi", unix))]
use super::foreign::MESSI_UNIX;
#[cfg(feature = "tls")]
use super::foreign::MIP_TLS;
#[cfg(unix)]
use super::foreign::MIP_UNIX;
#[cfg(feature = "middleman")]
use super::middleman::MM;
#[cfg(all(feature = "middleman", feature = "tls"))]
use super::middleman::MM_TLS;
#[cfg(feature = "quic")]
use super::quic::Quic;
#[cfg(all(feature = "testing", feature = "tls"))]
use super::rough::ROUGH_TLS;
#[cfg(all(feature = "testing", feature = "websocket"))]
use super::rough::ROUGH_WEBSOCKET;
#[cfg(feature = "testing")]
use super::rough::{ROUGH_MEMORY, ROUGH_TCP};
#[cfg(feature = "tls")]
use super::tls_over_tcp::Tls;
#[cfg(feature = "datagram")]
use super::udp::Udp;
#[cfg(unix)]
use super::unix::Unix;
#[cfg(feature = "websocket")]
use super::websocket::OVER_TCP;
#[cfg(all(feature = "tls", feature = "websocket"))]
use super::websocket::OVER_TLS;
use super::{Address, DialectName, foreign::MIP, memory::Memory, scheme::Transport, tcp::Tcp};
use msip_session::wire::Side;

/// Every transport of this crate.
static TRANSPORTS: &[&dyn Transport] = &[
    &Tcp,
    &Memory,
    #[cfg(unix)]
    &Unix,
    #[cfg(feature = "tls")]
    &Tls::MSIP,
    #[cfg(feature = "websocket")]
    &OVER_TCP,
    #[cfg(all(feature = "tls", feature = "websocket"))]
    &OVER_TLS,
    #[cfg(feature = "quic")]
    &Quic,
    #[cfg(feature = "datagram")]
    &Udp,
    &MIP,
    #[cfg(feature = "tls")]
    &MIP_TLS,
    #[cfg(unix)]
    &MIP_UNIX,
    #[cfg(feature = "flyrpc")]
    &FLYRPC,
    #[cfg(all(feature = "flyrpc", feature = "tls"))]
    &FLYRPC_TLS,
    #[cfg(all(feature = "flyrpc", unix))]
    &FLYRPC_UNIX,
    #[cfg(feature = "middleman")]
    &MM,
    #[cfg(all(feature = "middleman", feature = "tls"))]
    &MM_TLS,
    #[cfg(feature = "messi")]
    &MESSI,
    #[cfg(all(feature = "messi", feature = "tls"))]
    &MESSI_TLS,
    #[cfg(all(feature = "messi", unix))]
    &MESSI_UNIX,
    #[cfg(feature = "testing")]
    &ROUGH_TCP,
    #[cfg(feature = "testing")]
    &ROUGH_MEMORY,
    #[cfg(all(feature = "testing", feature = "tls"))]
    &ROUGH_TLS,
    #[cfg(all(feature = "testing", feature = "websocket"))]
    &ROUGH_WEBSOCKET,
];

/// The transport of a scheme, which is in lower case.
pub(super) fn find(scheme: &str) -> Option<&'static dyn Transport> {
    TRANSPORTS
        .iter()
        .copied()
        .find(|transport| transport.scheme() == scheme)
}

/// The schemes, for error texts: `tcp, mem`.
pub(super) fn schemes() -> String {
    let schemes: Vec<_> = TRANSPORTS.iter().map(|known| known.scheme()).collect();
    schemes.join(", ")
}

/// What a build of this crate has to have for a scheme that this build may not have.
pub(super) fn needed_for(scheme: &str) -> Option<&'static str> {
    Some(match scheme {
        "tls" | "mip+tls" => "the feature `tls`",
        "mm" => "the feature `middleman`",
        "mm+tls" => "the features `middleman` and `tls`",
        "ws" => "the feature `websocket`",
        "wss" => "the features `tls` and `websocket`",
        "quic" => "the feature `quic`",
        "flyrpc" | "flyrpc+unix" => "the feature `flyrpc`",
        "flyrpc+tls" => "the features `flyrpc` and `tls`",
        "messi" | "messi+unix" => "the feature `messi`",
        "messi+tls" => "the features `messi` and `tls`",
        "udp" => "the feature `datagram`",
        _ => return None,
    })
}

/// Whether all that is sent to this address is confidential, as far as the address alone tells: whether the transport encrypts,
/// or stays on this machine. A server that is to listen where it is not needs the setting `insecure`.
///
/// ```
/// use msip_runtime::transport::{ServiceUrl, is_confidential};
///
/// # fn main() -> Result<(), msip_runtime::transport::UrlError> {
/// let is_confidential = |url| ServiceUrl::parse(url).map(|url| is_confidential(url.address()));
/// assert!(is_confidential("tcp://127.0.0.1:7400")?);
/// assert!(!is_confidential("tcp://10.0.0.7:7400")?);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn is_confidential(address: &Address) -> bool {
    find(address.scheme()).is_some_and(|transport| transport.is_confidential(address))
}

/// What is spoken at an address, where that is not MSIP.
pub(super) fn dialect(address: &Address) -> Option<DialectName> {
    find(address.scheme())?.dialect()
}

/// Whether connections are made by the transport of this scheme, and not datagrams alone sent.
pub(super) fn has_streams(scheme: &str) -> bool {
    find(scheme).is_none_or(Transport::has_streams)
}

/// The names of the settings that URLs of this scheme take on this side, besides those of every client or server.
pub(super) fn settings(scheme: &str, side: Side) -> Vec<&'static str> {
    let Some(transport) = find(scheme) else {
        return Vec::new();
    };
    let of_dialect = transport.dialect().map(|dialect| dialect.settings(side));
    [transport.settings(side), of_dialect.unwrap_or_default()].concat()
}

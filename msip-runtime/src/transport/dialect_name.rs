//! The names of the dialects that a URL can ask for. What they say is no matter of transports.

use msip_session::wire::Side;

/// What is spoken at an address, where that is not MSIP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DialectName {
    Mip,
    #[cfg(feature = "flyrpc")]
    FlyRpc,
    #[cfg(feature = "messi")]
    Messi,
}

/// What the URL of a listener may say whatever its dialect: whom its clients are, and which protocol they speak.
#[cfg(any(feature = "flyrpc", feature = "messi"))]
const OF_LISTENERS: [&str; 2] = ["principal", "protocol"];

impl DialectName {
    /// The settings that its URLs take on this side, besides those of the transport.
    pub(super) const fn settings(self, side: Side) -> &'static [&'static str] {
        match (self, side) {
            (Self::Mip, _) => &[],
            // What a client says of its codec is a setting of every client.
            #[cfg(feature = "flyrpc")]
            (Self::FlyRpc, Side::Connecting) => &[],
            #[cfg(feature = "flyrpc")]
            (Self::FlyRpc, Side::Accepting) => &[OF_LISTENERS[0], OF_LISTENERS[1], "codec"],
            #[cfg(feature = "messi")]
            (Self::Messi, Side::Connecting) => &["keepalive_interval", "keepalive_timeout"],
            #[cfg(feature = "messi")]
            (Self::Messi, Side::Accepting) => {
                &[OF_LISTENERS[0], OF_LISTENERS[1], "keepalive_timeout"]
            }
        }
    }
}

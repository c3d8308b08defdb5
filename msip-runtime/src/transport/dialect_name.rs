//! The names of the dialects that a URL can ask for. What they say is no matter of transports.

use msip_session::wire::Side;

/// What is spoken at an address, where that is not MSIP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DialectName {
    Mip,
    #[cfg(feature = "messi")]
    Messi,
}

/// What the URL of a listener may say whatever its dialect: whom its clients are, and which protocol they speak.
#[cfg(feature = "messi")]
const OF_LISTENERS: [&str; 2] = ["principal", "protocol"];

impl DialectName {
    /// The settings that its URLs take on this side, besides those of the transport.
    pub(super) const fn settings(self, side: Side) -> &'static [&'static str] {
        match (self, side) {
            (Self::Mip, _) => &[],
            #[cfg(feature = "messi")]
            (Self::Messi, Side::Connecting) => &["keepalive_interval", "keepalive_timeout"],
            #[cfg(feature = "messi")]
            (Self::Messi, Side::Accepting) => {
                &[OF_LISTENERS[0], OF_LISTENERS[1], "keepalive_timeout"]
            }
        }
    }
}

//! The errors of sending, calling and connecting, and the reasons for a disconnect.

mod causes;
mod close;
mod connect;
mod disconnect;
mod exchange;
#[cfg(test)]
mod tests;

pub(crate) use causes::{WithCauses, debug_with_causes};
pub use close::CloseReason;
pub use connect::ConnectError;
pub use disconnect::DisconnectReason;
pub use exchange::{CallError, SendError, Unsupported};

use crate::{
    BodyError, MetadataError,
    transport::{TransportSettingError, UrlError},
};

debug_with_causes!(
    SendError,
    CallError,
    ConnectError,
    CloseReason,
    DisconnectReason,
    BodyError,
    MetadataError,
    crate::ChannelError,
    crate::SettingError,
    TransportSettingError,
    UrlError,
);

#[cfg(feature = "tls")]
debug_with_causes!(crate::transport::TlsError);

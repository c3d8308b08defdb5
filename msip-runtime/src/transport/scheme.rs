//! The trait of transports, each of which has a URL scheme.

use std::io;

use super::{
    Address, Connector, DialectName, TransportOptions, TransportSettingError, UrlError,
    incoming::BoxFuture, listen::BoxListen,
};
use msip_session::wire::Side;

/// A transport: it makes streams, by connecting to an address of its scheme and by listening at one.
pub(crate) trait Transport: Send + Sync {
    /// The scheme of its URLs, in lower case.
    fn scheme(&self) -> &'static str;

    /// What is spoken by it, where that is not MSIP.
    fn dialect(&self) -> Option<DialectName> {
        None
    }

    /// Whether the path of a URL is short for the setting `topic`, rather than a part of the address.
    fn path_is_topic(&self) -> bool {
        true
    }

    /// Whether connections are made by it; else it has datagrams alone, for those of other transports.
    fn has_streams(&self) -> bool {
        true
    }

    /// The names of the settings that its URLs take on this side, besides those of every client or server.
    fn settings(&self, _: Side) -> &'static [&'static str] {
        &[]
    }

    /// The addresses that a URL names, one at least. The path is empty where it is the topic.
    fn parse(&self, authority: &str, path: &str) -> Result<Vec<Address>, UrlError>;

    /// Whether all that is sent to this address is confidential, as far as the address alone tells.
    fn is_confidential(&self, address: &Address) -> bool;

    /// What opens the connections of one client, ready to carry MSIP. It is made once: what the options name is read here.
    fn connector(&self, options: &TransportOptions) -> Result<Connector, TransportSettingError>;

    /// Listens, and returns the address, with what the system has chosen.
    fn listen<'a>(
        &'a self,
        address: &'a Address,
        options: &'a TransportOptions,
    ) -> BoxFuture<'a, Result<(BoxListen, Address), ListenError>>;
}

/// Why a transport cannot listen.
#[derive(Debug)]
pub(crate) enum ListenError {
    /// What it was told cannot be used.
    Setting(TransportSettingError),
    /// What the system says.
    Io(io::Error),
}

impl From<TransportSettingError> for ListenError {
    fn from(error: TransportSettingError) -> Self {
        Self::Setting(error)
    }
}

impl From<io::Error> for ListenError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// As the public functions of this module report it.
impl From<ListenError> for io::Error {
    fn from(error: ListenError) -> Self {
        match error {
            ListenError::Setting(error) => error.into(),
            ListenError::Io(error) => error,
        }
    }
}

//! Connecting to an address.

use std::io;

use super::{
    Address, Connection, Connector, ServiceUrl, TransportOptions, TransportSettingError, registry,
};
use msip_session::wire::Side;

/// What connects to the addresses of this URL, by the transport of its scheme.
pub(crate) fn connector_of(
    url: &ServiceUrl,
    options: &TransportOptions,
) -> Result<Connector, TransportSettingError> {
    match registry::find(url.address().scheme()) {
        Some(transport) => transport.connector(options),
        None => Ok(Connector::new(|address: Address| async move {
            Err(no_transport(&address))
        })),
    }
}

/// Opens a connection to a service. Where it, or its host, has several addresses, they are tried in turn.
///
/// There is no time limit; bring your own.
///
/// # Errors
///
/// The system's error: the host is unknown, the connection is refused, or another. Of several addresses, the
/// error of the last. `InvalidInput` where a setting of the transport cannot be used.
///
/// # Cancel safety
///
/// Dropping this future closes what is half open.
pub async fn connect(url: &ServiceUrl) -> io::Result<Connection> {
    let connector = connector_of(url, &url.transport_options(Side::Connecting))?;
    let mut outcome = connector.connect(url.address()).await;
    for address in url.addresses().skip(1) {
        if outcome.is_ok() {
            break;
        }
        outcome = connector.connect(address).await;
    }
    outcome
}

/// Only a URL that was parsed for a user's own transport has such an address.
pub(super) fn no_transport(address: &Address) -> io::Error {
    let text = format!("no transport has the scheme {:?}", address.scheme());
    io::Error::new(io::ErrorKind::Unsupported, text)
}

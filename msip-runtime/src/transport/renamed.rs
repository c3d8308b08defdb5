//! A transport under a scheme of its own.

use super::{
    Address, Connection, Connector, TransportOptions, TransportSettingError, UrlError,
    listen::BoxListen,
    scheme::{ListenError, Transport},
};

/// Another transport, whose addresses have this scheme.
pub(super) struct Renamed<T> {
    pub(super) scheme: &'static str,
    pub(super) inner: T,
}

impl<T: Transport> Renamed<T> {
    /// The address as the transport below knows it.
    fn inner_address(&self, address: &Address) -> Address {
        address.with_scheme(self.inner.scheme())
    }

    pub(super) fn parse(&self, authority: &str, path: &str) -> Result<Vec<Address>, UrlError> {
        let addresses = self.inner.parse(authority, path)?.into_iter();
        Ok(addresses
            .map(|address| address.with_scheme(self.scheme))
            .collect())
    }

    pub(super) fn is_confidential(&self, address: &Address) -> bool {
        self.inner.is_confidential(&self.inner_address(address))
    }

    /// Connects as the transport below does, and makes of each connection what `upgrade` says.
    pub(super) fn connector(
        &self,
        options: &TransportOptions,
        upgrade: fn(Connection) -> Connection,
    ) -> Result<Connector, TransportSettingError> {
        let (inner, scheme) = (self.inner.connector(options)?, self.inner.scheme());
        Ok(Connector::new(move |address: Address| {
            let inner = inner.clone();
            async move {
                let address = address.with_scheme(scheme);
                inner.connect(&address).await.map(upgrade)
            }
        }))
    }

    /// Listens as the transport below does.
    pub(super) async fn listen(
        &self,
        address: &Address,
        options: &TransportOptions,
    ) -> Result<(BoxListen, Address), ListenError> {
        let below = self.inner_address(address);
        let (listener, local) = self.inner.listen(&below, options).await?;
        Ok((listener, local.with_scheme(self.scheme)))
    }
}

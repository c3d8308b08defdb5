//! A bound listener.

use std::io;

use super::{
    Address, Incoming, ListenError, ServiceUrl, TransportOptions, connect::no_transport,
    listen::BoxListen, registry,
};
use msip_session::wire::Side;

/// A listener, bound from [`bind`](Self::bind) until it is dropped.
#[derive(Debug)]
pub struct Listener {
    inner: BoxListen,
    local_url: ServiceUrl,
}

impl Listener {
    /// Listens at a URL's address. Of a host with several addresses, the first that can be listened at is taken.
    ///
    /// Up to 1,024 connections wait to be accepted (128 in memory), fewer where the system says so; after
    /// that a client waits, or is refused by its system.
    ///
    /// # Errors
    ///
    /// What the system says: the address is in use or is not of this machine, the host is not known, or another.
    /// `InvalidInput` where the URL has several addresses, or a setting of its transport cannot be used.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes what it listens at.
    pub async fn bind(url: &ServiceUrl) -> io::Result<Self> {
        let address = url
            .only_address()
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let options = url.transport_options(Side::Accepting);
        Ok(Self::bind_with(address, &options).await?)
    }

    /// Listens at an address with these options.
    pub(crate) async fn bind_with(
        address: &Address,
        options: &TransportOptions,
    ) -> Result<Self, ListenError> {
        let transport = registry::find(address.scheme()).ok_or_else(|| no_transport(address))?;
        let (inner, local) = transport.listen(address, options).await?;
        Ok(Self {
            inner,
            local_url: local.into(),
        })
    }

    /// A listener that the user brings, which is known by this URL.
    pub(crate) fn own(inner: BoxListen, local_url: ServiceUrl) -> Self {
        Self { inner, local_url }
    }

    /// Waits for the next connection, which may have to be [upgraded](Incoming::upgrade).
    ///
    /// # Errors
    ///
    /// What the system says. Most errors are those of one connection, or pass by (no file descriptor is free):
    /// wait a moment and go on.
    ///
    /// # Cancel safety
    ///
    /// Dropping this future loses no connection.
    pub async fn accept(&self) -> io::Result<Incoming> {
        self.inner.accept().await
    }

    /// Reads certificates and the like again, for the connections that it accepts from now on.
    ///
    /// # Errors
    ///
    /// What is wrong with them. Those of before stay in use.
    pub fn reload(&self) -> io::Result<()> {
        self.inner.reload()
    }

    /// Where it listens, with the port that the system chose if that was asked for, and without settings.
    pub fn local_url(&self) -> &ServiceUrl {
        &self.local_url
    }
}

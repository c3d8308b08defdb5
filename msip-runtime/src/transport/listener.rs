//! Where connections come in.

use std::io;

use tokio::net::TcpListener;

use super::memory::MemoryListener;
use super::{Address, Connection, ServiceUrl, tcp};

/// A place where connections come in, from [`bind`](Self::bind) until it is dropped.
#[derive(Debug)]
pub struct Listener {
    inner: Inner,
    local_url: ServiceUrl,
}

#[derive(Debug)]
enum Inner {
    Tcp(TcpListener),
    Memory(MemoryListener),
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
    /// `InvalidInput` where the URL has several addresses.
    pub async fn bind(url: &ServiceUrl) -> io::Result<Self> {
        let address = url
            .only_address()
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let (inner, local) = match address {
            Address::Tcp { host, port } => {
                let listener = tcp::bind(host, *port).await?;
                let local = Address::from(listener.local_addr()?);
                (Inner::Tcp(listener), local)
            }
            Address::Memory { name } => {
                let listener = MemoryListener::bind(name)?;
                let local = Address::Memory {
                    name: listener.name().to_owned(),
                };
                (Inner::Memory(listener), local)
            }
        };
        Ok(Self {
            inner,
            local_url: local.into(),
        })
    }

    /// Waits for the next connection.
    ///
    /// # Errors
    ///
    /// What the system says. Most errors are those of one connection, or pass by (no file descriptor is free):
    /// wait a moment and go on.
    ///
    /// # Cancel safety
    ///
    /// Dropping this future loses no connection.
    pub async fn accept(&self) -> io::Result<Connection> {
        match &self.inner {
            Inner::Tcp(listener) => tcp::accept(listener).await,
            Inner::Memory(listener) => listener.accept().await,
        }
    }

    /// Where it listens, with the port that the system chose if that was asked for, and without settings.
    pub fn local_url(&self) -> &ServiceUrl {
        &self.local_url
    }
}

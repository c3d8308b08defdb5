//! Ports that stay a test's own while nobody listens there.

use std::{io, net::SocketAddr};

use tokio::net::TcpSocket;

/// A port of 127.0.0.1 at which connections are refused, until somebody listens there who is told to. The system gives it to
/// nobody else who asks for any port, as it would between a server's end and its next beginning.
#[derive(Debug)]
pub struct HeldPort {
    address: SocketAddr,
    /// Bound, and not listening.
    _socket: TcpSocket,
}

impl HeldPort {
    /// Takes a port.
    ///
    /// # Errors
    ///
    /// Where the system has none.
    pub fn new() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        // With it, Linux lets one socket listen beside those that are only bound.
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let address = socket.local_addr()?;
        Ok(Self {
            address,
            _socket: socket,
        })
    }

    /// Its address.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::ErrorKind;

    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn a_server_comes_and_goes_at_a_port_that_is_held() {
        let port = HeldPort::new().expect("a port");
        for _ in 0..3 {
            let refused = TcpStream::connect(port.address())
                .await
                .expect_err("nobody");
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
            let listener = TcpListener::bind(port.address()).await.expect("listens");
            let _connection = TcpStream::connect(port.address()).await.expect("connects");
            let _accepted = listener.accept().await.expect("a connection");
        }
    }
}

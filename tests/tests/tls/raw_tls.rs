//! A raw peer over TLS, which may do what a client does not: blocking, and without anything of a transport behind it.

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use msip_runtime::transport::{
    ServiceUrl,
    rustls::{
        self, ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    },
};
use msip_tests::Authority;

/// A client's end.
pub(crate) struct RawTls {
    connection: ClientConnection,
    socket: TcpStream,
}

/// The address of a URL such as `tls://127.0.0.1:4000`.
pub(crate) fn address(url: &str) -> SocketAddr {
    let url: ServiceUrl = url.parse().expect("a URL");
    url.address().authority().parse().expect("an address")
}

/// A socket on which nothing is waited for longer than a test may take.
pub(crate) fn dial(url: &str) -> TcpStream {
    let socket = TcpStream::connect(address(url)).expect("connects");
    let patience = Some(Duration::from_secs(30));
    socket.set_read_timeout(patience).expect("can be set");
    socket.set_write_timeout(patience).expect("can be set");
    socket
}

/// Everything until the end, or until the connection breaks.
pub(crate) fn read_to_the_end(socket: &mut TcpStream) -> Vec<u8> {
    let mut read = Vec::new();
    match socket.read_to_end(&mut read) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
        Err(error) => panic!("{error}"),
    }
    read
}

impl RawTls {
    /// Connects, and does the handshake.
    pub(crate) fn connect(
        url: &str,
        authority: &Authority,
        version: &'static SupportedProtocolVersion,
        alpn: &[&[u8]],
    ) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("PEM");
        roots.add(ca).expect("an authority");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let name = ServerName::try_from("localhost").expect("a name");
        let mut raw = Self {
            connection: ClientConnection::new(Arc::new(config), name).expect("a connection"),
            socket: dial(url),
        };
        while raw.connection.is_handshaking() {
            raw.connection.complete_io(&mut raw.socket)?;
        }
        Ok(raw)
    }

    /// Writes bytes within TLS.
    pub(crate) fn say(&mut self, bytes: &[u8]) {
        let mut stream = rustls::Stream::new(&mut self.connection, &mut self.socket);
        stream.write_all(bytes).expect("written");
        stream.flush().expect("flushed");
    }

    /// Reads so many bytes from within TLS.
    pub(crate) fn hear(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        let mut stream = rustls::Stream::new(&mut self.connection, &mut self.socket);
        stream.read_exact(&mut bytes).expect("read");
        bytes
    }

    /// Ends what it says, as TLS wants it.
    pub(crate) fn close_notify(&mut self) {
        self.connection.send_close_notify();
        self.connection
            .complete_io(&mut self.socket)
            .expect("written");
        self.socket.shutdown(Shutdown::Write).expect("shut down");
    }

    /// The socket under TLS.
    pub(crate) fn socket(&mut self) -> &mut TcpStream {
        &mut self.socket
    }
}

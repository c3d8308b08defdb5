//! The transport over Unix sockets: `unix:///absolute/path`.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::net::{UnixListener, UnixSocket, UnixStream};
use tracing::{debug, warn};

use super::{
    Address, Connection, Connector, Incoming, Listen, PeerAddress, PeerCredential,
    TransportOptions, TransportSettingError, UrlError,
    escape::{decode, encode},
    incoming::BoxFuture,
    listen::BoxListen,
    scheme::{ListenError, Transport},
};
use msip_session::wire::Side;

/// The longest path in bytes: what `sockaddr_un` has room for, but for the NUL at its end.
const MAX_PATH_LEN: usize = if cfg!(any(target_os = "linux", target_os = "android")) {
    107
} else {
    103
};

/// Who may connect unless the URL says so: the user that the server runs as.
const DEFAULT_MODE: u32 = 0o600;

/// How many connections may wait to be accepted; the system may allow fewer.
const BACKLOG: u32 = 1024;

/// The transport over Unix sockets.
pub(super) struct Unix;

impl Transport for Unix {
    fn scheme(&self) -> &'static str {
        "unix"
    }

    fn path_is_topic(&self) -> bool {
        false
    }

    fn parse(&self, authority: &str, path: &str) -> Result<Vec<Address>, UrlError> {
        Ok(vec![parse_path(authority, path)?])
    }

    fn is_confidential(&self, _: &Address) -> bool {
        true
    }

    fn settings(&self, side: Side) -> &'static [&'static str] {
        match side {
            Side::Accepting => &["mode"],
            Side::Connecting => &[],
        }
    }

    fn connector(&self, _: &TransportOptions) -> Result<Connector, TransportSettingError> {
        Ok(Connector::new(|address: Address| async move {
            let stream = UnixStream::connect(path_of(&address)?).await?;
            connection(stream, &name_of(&address))
        }))
    }

    fn listen<'a>(
        &'a self,
        address: &'a Address,
        options: &'a TransportOptions,
    ) -> BoxFuture<'a, Result<(BoxListen, Address), ListenError>> {
        Box::pin(async {
            let mode = options.get("mode").map_or(Ok(DEFAULT_MODE), parse_mode)?;
            let listener = Socket::bind(address, mode).await?;
            Ok((BoxListen::new(listener), address.clone()))
        })
    }
}

/// The address of a path in the file system. Its canonical form has every slash as it is, and all else escaped that is not
/// plain.
fn parse_path(authority: &str, path: &str) -> Result<Address, UrlError> {
    if !authority.is_empty() || path.is_empty() {
        return Err(UrlError::RelativePath {
            path: format!("{authority}{path}"),
        });
    }
    let path = decode(path).ok_or_else(|| UrlError::BadEscape {
        text: path.to_owned(),
    })?;
    if path.ends_with('/') || path.chars().any(char::is_control) {
        return Err(UrlError::BadSocketPath { path });
    }
    if path.len() > MAX_PATH_LEN {
        return Err(UrlError::PathTooLong {
            len: path.len(),
            max: MAX_PATH_LEN,
            path,
        });
    }
    let parts: Vec<_> = path.split('/').map(encode).collect();
    Ok(Address::new("unix", String::new(), parts.join("/")))
}

/// The mode of a socket's file: three octal digits, after a zero or not.
fn parse_mode(text: &str) -> Result<u32, TransportSettingError> {
    let digits = text.strip_prefix('0').filter(|rest| rest.len() == 3);
    let digits = digits.unwrap_or(text);
    let is_octal = digits.len() == 3 && digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    let mode = is_octal.then(|| u32::from_str_radix(digits, 8).ok());
    mode.flatten().ok_or_else(|| {
        TransportSettingError::new("mode", text, "write three octal digits, such as 0660")
    })
}

/// The path in the file system.
fn path_of(address: &Address) -> io::Result<PathBuf> {
    // `parse` lets no other address through.
    let wrong = || io::Error::new(io::ErrorKind::InvalidInput, "no path");
    decode(address.path()).map(PathBuf::from).ok_or_else(wrong)
}

/// Both ends are known by the path: a client's own socket has no name.
fn name_of(address: &Address) -> Arc<str> {
    address.to_string().into()
}

fn connection(stream: UnixStream, name: &Arc<str>) -> io::Result<Connection> {
    let user = stream.peer_cred()?;
    let address = PeerAddress::Named(Arc::clone(name));
    Ok(Connection::new(stream, address.clone(), address)
        .confidential()
        .with_credential(PeerCredential::UnixUser {
            uid: user.uid(),
            gid: user.gid(),
        }))
}

/// A socket that is listened at, and whose file is removed when this is dropped.
#[derive(Debug)]
struct Socket {
    name: Arc<str>,
    /// Before the listener: whoever connects meanwhile is accepted by the system, and closed with it.
    _file: SocketFile,
    listener: UnixListener,
}

impl Socket {
    /// Listens at a path. A socket of this user to which nobody listens is removed first.
    async fn bind(address: &Address, mode: u32) -> io::Result<Self> {
        let path = path_of(address)?;
        let socket = match bind_at(&path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                remove_stale(&path).await?;
                bind_at(&path)?
            }
            bound => bound?,
        };
        let file = SocketFile::of(path)?;
        // Nobody can connect before it listens, so that nobody does before the mode is right.
        fs::set_permissions(&file.path, fs::Permissions::from_mode(mode))?;
        let listener = socket.listen(BACKLOG)?;
        if !file.is_there() {
            let text = format!(
                "the socket {} was replaced by another server that starts",
                file.path.display()
            );
            return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
        }
        Ok(Self {
            name: name_of(address),
            _file: file,
            listener,
        })
    }
}

impl Listen for Socket {
    async fn accept(&self) -> io::Result<Incoming> {
        let (stream, _) = self.listener.accept().await?;
        Ok(connection(stream, &self.name)?.into())
    }

    fn is_confidential(&self) -> bool {
        true
    }
}

fn bind_at(path: &Path) -> io::Result<UnixSocket> {
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    Ok(socket)
}

/// The file of a socket that this process has made; removed when dropped, unless another one is in its place.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    id: FileId,
}

/// What tells a file from a later one at the same path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    fn of(file: &fs::Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
        }
    }
}

impl SocketFile {
    fn of(path: PathBuf) -> io::Result<Self> {
        let id = FileId::of(&fs::symlink_metadata(&path)?);
        Ok(Self { path, id })
    }

    /// Whether it is still at its path.
    fn is_there(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|file| FileId::of(&file) == self.id)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is_there()
            && let Err(error) = fs::remove_file(&self.path)
        {
            warn!(path = %self.path.display(), %error, "the socket cannot be removed");
        }
    }
}

/// Removes what is in the way, if it is a socket of this user to which nobody listens.
///
/// # Errors
///
/// `AddrInUse` where it is anything else.
async fn remove_stale(path: &Path) -> io::Result<()> {
    let in_use = |what: &str| {
        let text = format!("{} {what}", path.display());
        io::Error::new(io::ErrorKind::AddrInUse, text)
    };
    let file = match fs::symlink_metadata(path) {
        Ok(file) => file,
        // It went meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !file.file_type().is_socket() {
        return Err(in_use("is there and is not a socket"));
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        _ => return Err(in_use("is a socket at which somebody listens")),
    }
    let owner = file.uid();
    if owner != own_uid()? {
        let text = format!("is a socket of another user ({owner}) at which nobody listens");
        return Err(in_use(&text));
    }
    let stale = SocketFile {
        path: path.to_owned(),
        id: FileId::of(&file),
    };
    debug!(path = %path.display(), "a socket at which nobody listens is removed");
    drop(stale);
    Ok(())
}

/// The user that this process runs as: the one of its own end of a connection.
fn own_uid() -> io::Result<u32> {
    let (end, _) = UnixStream::pair()?;
    Ok(end.peer_cred()?.uid())
}

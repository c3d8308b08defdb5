//! Unix sockets: who may connect, whose file is whose, and who is at the other end.

use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink},
        net::UnixListener,
    },
    path::{Path, PathBuf},
};

use msip_runtime::{
    BindError, Client, Server,
    transport::{Listener, PeerCredential, ServiceUrl, UrlError, connect},
    wire::FrameType,
};
use msip_tests::{
    connected,
    lab::{EchoReq, Lab, SendClientToServer as _},
    messages::echo,
    raw::{RawPeer, hello, resuming_frame},
    soon, start,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// A folder, and the path and URL of a socket in it.
struct Place {
    folder: TempDir,
    path: PathBuf,
    url: String,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a b.sock");
        let url = format!("unix://{}", path.display()).replace(' ', "%20");
        Self { folder, path, url }
    }

    fn parsed(&self) -> ServiceUrl {
        self.url.parse().expect("a URL")
    }

    async fn listen(&self) -> Listener {
        Listener::bind(&self.parsed()).await.expect("listens")
    }

    /// Why it cannot be listened at.
    async fn refused(&self) -> io::Error {
        let bound = Listener::bind(&self.parsed()).await;
        bound.expect_err("cannot be listened at")
    }

    async fn is_served_by(&self, listener: &Listener) {
        let url = self.parsed();
        let (client, accepted) = tokio::join!(connect(&url), listener.accept());
        client.expect("connects");
        accepted.expect("accepts");
    }

    /// Leaves a socket behind as a server does that was killed.
    fn leave_stale(&self) {
        drop(UnixListener::bind(&self.path).expect("binds"));
        assert!(self.path.exists());
    }
}

fn mode_of(path: &Path) -> u32 {
    let file = fs::metadata(path).expect("is there");
    file.permissions().mode() & 0o7777
}

#[tokio::test]
async fn clients_and_servers_talk_over_a_unix_socket() {
    let place = Place::new();
    let (url, mut events, serving) = start(&place.url).await;
    assert_eq!(url.to_string(), place.url);
    assert_eq!(mode_of(&place.path), 0o600);
    let client = Client::<Lab>::connect(&place.url).await.expect("connects");
    let peer = connected(&mut events).await;
    let answer = client.echo_req(echo("hello")).await.expect("answers");
    assert_eq!(answer.text, "hello");
    // More than the system's buffers hold.
    let large = EchoReq {
        text: "x".repeat(3 << 20),
        ..EchoReq::default()
    };
    let answer = soon("a large answer", client.echo_req(large)).await;
    assert_eq!(answer.expect("answers").text.len(), 3 << 20);

    let connection = peer.connection();
    assert!(connection.is_confidential());
    let own = fs::metadata(&place.path).expect("is there");
    let expected = PeerCredential::UnixUser {
        uid: own.uid(),
        gid: own.gid(),
    };
    assert_eq!(connection.credential(), &expected);
    assert_eq!(peer.address().to_string(), place.url);
    assert_eq!(peer.address().ip(), None);
    client.close().await;

    serving.abort();
    assert!(serving.await.is_err());
    assert!(!place.path.exists(), "it is removed with its listener");
    let error = Client::<Lab>::connect(&place.url).await;
    let error = error.expect_err("nobody listens");
    assert!(format!("{error:?}").contains("No such file"), "{error:?}");
}

#[tokio::test]
async fn a_session_is_resumed_over_a_unix_socket() {
    let place = Place::new();
    let (url, mut events, _serving) = start(&place.url).await;
    let mut first = RawPeer::dial(&url).await;
    first.say(&resuming_frame(&hello())).await;
    first.hear_type(FrameType::Ack).await;
    let peer = connected(&mut events).await;
    assert!(!peer.resumed());
    let mut second = RawPeer::dial(&url).await;
    second.say(&resuming_frame(&hello())).await;
    second.hear_type(FrameType::Ack).await;
    soon("the end of the first", first.hear_to_the_end()).await;
    assert!(peer.resumed(), "the same session");
}

#[tokio::test]
async fn each_end_of_a_unix_socket_hears_what_the_other_says() {
    let place = Place::new();
    let listener = place.listen().await;
    let url = place.parsed();
    let (client, server) = tokio::join!(connect(&url), listener.accept());
    let mut client = client.expect("connects");
    let mut server = server.expect("accepts").upgrade().await.expect("is ready");
    assert!(client.is_confidential && server.is_confidential);
    // The client knows who serves it, too.
    assert_eq!(client.credential, server.credential);
    client.stream.write_all(b"question").await.expect("writes");
    client.stream.shutdown().await.expect("shuts down");
    let mut heard = Vec::new();
    soon("the end", server.stream.read_to_end(&mut heard))
        .await
        .expect("reads");
    assert_eq!(heard, b"question");
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
    let place = Place::new();
    place.leave_stale();
    let error = connect(&place.parsed()).await.expect_err("is stale");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    let listener = place.listen().await;
    assert_eq!(mode_of(&place.path), 0o600);

    let error = place.refused().await;
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    let told = error.to_string();
    assert!(
        told.ends_with("a b.sock is a socket at which somebody listens"),
        "{told}"
    );
    // It was not touched.
    place.is_served_by(&listener).await;

    let second = Server::<Lab>::bind(&place.url).await;
    assert!(matches!(second, Err(BindError::Io { .. })), "{second:?}");
}

#[tokio::test]
async fn what_is_not_a_socket_is_left_where_it_is() {
    let place = Place::new();
    fs::write(&place.path, "precious").expect("writes");
    let error = place.refused().await;
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    let told = error.to_string();
    assert!(
        told.ends_with("a b.sock is there and is not a socket"),
        "{told}"
    );
    assert_eq!(fs::read(&place.path).expect("is there"), b"precious");
    fs::remove_file(&place.path).expect("removes");

    fs::create_dir(&place.path).expect("a folder");
    assert_eq!(place.refused().await.kind(), io::ErrorKind::AddrInUse);
    assert!(place.path.is_dir());
    fs::remove_dir(&place.path).expect("removes");

    // A link, whatever it leads to: to a stale socket, and to nothing.
    let target = place.folder.path().join("target");
    drop(UnixListener::bind(&target).expect("binds"));
    for _ in 0..2 {
        symlink(&target, &place.path).expect("links");
        let error = place.refused().await;
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().ends_with("is not a socket"), "{error}");
        fs::remove_file(&place.path).expect("is still there");
        let _ = fs::remove_file(&target);
    }
}

#[tokio::test]
async fn a_stale_socket_of_another_user_is_left_where_it_is() {
    let place = Place::new();
    place.leave_stale();
    // Only root may give a file away.
    if std::os::unix::fs::lchown(&place.path, Some(4711), None).is_err() {
        return;
    }
    let error = place.refused().await;
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    let told = error.to_string();
    assert!(
        told.ends_with("is a socket of another user (4711) at which nobody listens"),
        "{told}"
    );
    let file = fs::symlink_metadata(&place.path).expect("is there");
    assert!(file.file_type().is_socket());
}

#[tokio::test]
async fn a_listener_removes_only_the_file_that_it_made() {
    let place = Place::new();
    let first = place.listen().await;
    // Somebody moves it away and listens there.
    fs::rename(&place.path, place.folder.path().join("moved")).expect("moves");
    let second = place.listen().await;
    drop(first);
    assert!(place.path.exists(), "it is the second's");
    place.is_served_by(&second).await;
    drop(second);
    assert!(!place.path.exists());
}

#[tokio::test]
async fn the_mode_of_a_socket_is_what_the_url_says() {
    let place = Place::new();
    for (text, mode) in [("0660", 0o660), ("666", 0o666), ("0600", 0o600)] {
        let server = Server::<Lab>::bind(format!("{}?mode={text}", place.url)).await;
        let server = server.expect("binds");
        assert_eq!(mode_of(&place.path), mode);
        assert_eq!(server.local_url().to_string(), place.url);
    }
    for text in ["660x", "1777", "9", "rw-rw----", "0o660", "00660"] {
        let error = Server::<Lab>::bind(format!("{}?mode={text}", place.url)).await;
        assert_eq!(
            error.expect_err("is refused").to_string(),
            format!(
                "setting `mode`: `{text}` cannot be used: write three octal digits, such as 0660"
            )
        );
        assert!(!place.path.exists());
    }
    let error = Client::<Lab>::connect(format!("{}?mode=0660", place.url)).await;
    let error = error.expect_err("is the server's");
    assert!(
        error.to_string().starts_with("unknown setting `mode`"),
        "{error}"
    );
}

#[tokio::test]
async fn a_topic_of_a_unix_socket_is_a_setting_and_its_length_is_told() {
    let error = Server::<Lab>::bind("unix:///run/x?topic=fleet").await;
    let error = error.expect_err("refused");
    let expected = UrlError::Topic {
        topic: "fleet".to_owned(),
    };
    assert!(
        matches!(&error, BindError::Url(error) if *error == expected),
        "{error:?}"
    );
    let url = format!("unix:///{}", "x".repeat(120));
    let error = Server::<Lab>::bind(&url).await.expect_err("refused");
    assert!(
        error
            .to_string()
            .contains("is too long for the path of a Unix socket: 121 bytes"),
        "{error}"
    );
    let error = Server::<Lab>::bind("unix:///no/such/folder/x.sock").await;
    let error = error.expect_err("there is none");
    assert_eq!(
        format!("{error:?}"),
        "cannot listen at unix:///no/such/folder/x.sock: No such file or directory (os error 2)"
    );
}

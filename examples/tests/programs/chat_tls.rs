//! The chat over TLS and QUIC, with certificates that the server writes itself.

use std::{fs, path::Path};

use crate::program::Program;

const SERVER: &str = env!("CARGO_BIN_EXE_chat-server");
const CLIENT: &str = env!("CARGO_BIN_EXE_chat-client");

/// A server that listens at these URLs, and where it does.
fn server(folder: &Path, urls: &[&str]) -> (Program, Vec<String>) {
    let folder = folder.to_str().expect("is text");
    let mut args = vec!["-v", "--dev-certs", folder];
    for url in urls {
        args.extend(["--listen", url]);
    }
    let mut server = Program::start("server", SERVER, &args);
    let mut listening = Vec::new();
    for _ in urls {
        let line = server.until("listening at ");
        let url = line.split_whitespace().nth(2).expect("its address");
        listening.push(url.to_owned());
    }
    (server, listening)
}

fn client(name: &str, url: &str) -> Program {
    let mut client = Program::start(name, CLIENT, &["--name", name, "--url", url]);
    client.until("in the room: ");
    client
}

#[test]
fn three_commands_lead_to_a_chat_over_tls_beside_one_without() {
    let folder = tempfile::tempdir().expect("a folder");
    let certs = folder.path().join("certs");
    let (_room, urls) = server(&certs, &["tls://127.0.0.1:0", "tcp://127.0.0.1:0"]);
    let path = |name: &str| certs.join(name).display().to_string();
    let mut ada = client("ada", &format!("{}?ca={}", urls[0], path("ca.pem")));
    let mut bob = client("bob", &urls[1]);
    ada.until("* bob is here");
    bob.type_line("hello, ada");
    ada.until("bob> hello, ada");
    // With a certificate, by another name of the machine.
    let url = urls[0].replace("127.0.0.1", "localhost");
    let (cert, key) = (path("client.pem"), path("client.key"));
    let url = format!("{url}?ca={}&cert={cert}&key={key}", path("ca.pem"));
    let _eve = client("eve", &url);
    ada.until("* eve is here");
    // Nobody else can read the keys, and the authority has none.
    #[cfg(unix)]
    for name in ["server.key", "client.key"] {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(certs.join(name))
            .expect("is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let mut names: Vec<_> = fs::read_dir(&certs)
        .expect("a folder")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("text")
        })
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "ca.pem",
            "client.key",
            "client.pem",
            "server.key",
            "server.pem"
        ]
    );
}

#[test]
fn the_same_certificates_lead_to_a_chat_over_quic_beside_tls() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut room, urls) = server(
        folder.path(),
        &[
            "quic://127.0.0.1:0?lossy=datagram&ping_interval=1s",
            "tls://127.0.0.1:0",
        ],
    );
    let path = |name: &str| folder.path().join(name).display().to_string();
    let url = |index: usize| {
        let address = urls[index].split('?').next().expect("an address");
        format!("{address}?ca={}", path("ca.pem"))
    };
    assert!(url(0).starts_with("quic://"), "{urls:?}");
    let mut ada = client("ada", &format!("{}&lossy=datagram", url(0)));
    let mut bob = client("bob", &url(1));
    let cert = format!("&cert={}&key={}", path("client.pem"), path("client.key"));
    let eve = client("eve", &(url(0) + &cert));
    ada.until("* eve is here");
    bob.type_line("hello, ada");
    ada.until("bob> hello, ada");
    ada.type_line("/who");
    ada.until("* in the room: ");
    // A client that leaves says so, and one that is killed is missed.
    ada.type_line("/quit");
    bob.until("* ada has left");
    assert_eq!(ada.ended().code, Some(0));
    eve.kill();
    bob.until("* eve has left");
    #[cfg(unix)]
    {
        room.signal("HUP");
        room.until("reloaded");
        let _ada = client("ada", &url(0));
        bob.until("* ada is here");
        room.interrupt();
        bob.until("connection lost");
    }
}

#[test]
fn a_client_that_does_not_trust_the_server_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_room, urls) = server(folder.path(), &["tls://127.0.0.1:0"]);
    let other = tempfile::tempdir().expect("a folder");
    drop(server(other.path(), &["tls://127.0.0.1:0"]));
    let ca = other.path().join("ca.pem").display().to_string();
    for (url, what_to_do) in [
        (
            format!("{}?ca={ca}", urls[0]),
            "issued by nobody who is trusted here: set `ca`",
        ),
        (
            urls[0].replace("tls://", "tcp://"),
            "speaks TLS: connect to tls:// instead",
        ),
    ] {
        let mut refused = Program::start("ada", CLIENT, &["--name", "ada", "--url", &url]);
        refused.until(what_to_do);
        assert_eq!(refused.ended().code, Some(1));
    }
}

#[test]
fn certificates_stay_what_they_are_and_a_part_of_them_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(server(folder.path(), &["tls://127.0.0.1:0"]));
    let ca = fs::read(folder.path().join("ca.pem")).expect("is there");
    drop(server(folder.path(), &["tls://127.0.0.1:0"]));
    assert_eq!(
        fs::read(folder.path().join("ca.pem")).expect("is there"),
        ca
    );
    fs::remove_file(folder.path().join("client.key")).expect("was there");
    let args = ["--dev-certs", folder.path().to_str().expect("is text")];
    let mut refused = Program::start("server", SERVER, &args);
    refused.until("has some of ca.pem, server.pem, server.key, client.pem, client.key and not all");
    assert_eq!(refused.ended().code, Some(1));
}

#[cfg(unix)]
#[test]
fn a_hangup_reloads_certificates_or_keeps_those_of_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut room, urls) = server(folder.path(), &["tls://127.0.0.1:0"]);
    let ca = |folder: &Path| folder.join("ca.pem").display().to_string();
    let mut ada = client("ada", &format!("{}?ca={}", urls[0], ca(folder.path())));
    // Others, of another authority.
    let other = tempfile::tempdir().expect("a folder");
    drop(server(other.path(), &["tls://127.0.0.1:0"]));
    for name in ["server.pem", "server.key"] {
        fs::copy(other.path().join(name), folder.path().join(name)).expect("copied");
    }
    room.signal("HUP");
    room.until("reloaded");
    let _bob = client("bob", &format!("{}?ca={}", urls[0], ca(other.path())));
    ada.until("* bob is here");
    fs::write(folder.path().join("server.pem"), "no certificate").expect("written");
    room.signal("HUP");
    room.until("cannot reload: the certificates stay what they are");
    let _eve = client("eve", &format!("{}?ca={}", urls[0], ca(other.path())));
    ada.until("* eve is here");
}

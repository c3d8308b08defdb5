use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::*;

const SOON: Duration = Duration::from_secs(60);

fn url(text: &str) -> ServiceUrl {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

async fn upgraded(incoming: std::io::Result<Incoming>) -> Connection {
    incoming.unwrap().upgrade().await.unwrap()
}

/// Binds, connects, and talks both ways.
async fn talks_over(text: &str) -> (Connection, Connection, ServiceUrl) {
    let listener = Listener::bind(&url(text)).await.unwrap();
    let local = listener.local_url().clone();
    let (client, server) = tokio::join!(connect(&local), listener.accept());
    let (mut client, mut server) = (client.unwrap(), upgraded(server).await);
    client.stream.write_all(b"question").await.unwrap();
    client.stream.flush().await.unwrap();
    let mut heard = [0; 8];
    server.stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"question");
    server.stream.write_all(b"answer").await.unwrap();
    server.stream.shutdown().await.unwrap();
    let mut heard = Vec::new();
    timeout(SOON, client.stream.read_to_end(&mut heard))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(heard, b"answer");
    (client, server, local)
}

#[tokio::test]
async fn tcp_carries_bytes_both_ways() {
    let (client, server, local) = talks_over("tcp://127.0.0.1:0").await;
    let port = local.address().port().unwrap();
    assert_eq!(local.address().host().as_deref(), Some("127.0.0.1"));
    assert_ne!(port, 0);
    assert_eq!(client.peer, server.local);
    assert_eq!(client.local, server.peer);
    assert_eq!(client.peer.to_string(), format!("127.0.0.1:{port}"));
    assert!(client.is_confidential);
}

#[tokio::test]
async fn tcp_finds_a_host_by_name() {
    let listener = Listener::bind(&url("tcp://127.0.0.1:0")).await.unwrap();
    let port = listener.local_url().address().port().unwrap();
    // Where the name has an IPv6 address too, the connection is refused there, and the next one is tried.
    let by_name = url(&format!("tcp://localhost:{port}"));
    let (client, server) = tokio::join!(connect(&by_name), listener.accept());
    assert_eq!(client.unwrap().local, upgraded(server).await.peer);
}

#[tokio::test]
async fn tcp_speaks_ipv6_where_the_machine_does() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    let (client, _, local) = talks_over("tcp://[::1]:0").await;
    assert!(local.to_string().starts_with("tcp://[::1]:"), "{local}");
    assert!(client.is_confidential);
}

#[tokio::test]
async fn a_port_is_free_again_when_its_listener_is_gone() {
    let (_, _, local) = talks_over("tcp://127.0.0.1:0").await;
    let refused = connect(&local).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    // The server's end closed first, so without SO_REUSEADDR the port would be kept for a minute.
    Listener::bind(&local).await.unwrap();
}

#[tokio::test]
async fn a_port_that_is_taken_is_refused() {
    let listener = Listener::bind(&url("tcp://127.0.0.1:0")).await.unwrap();
    let error = Listener::bind(listener.local_url()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
}

#[tokio::test]
async fn memory_carries_bytes_both_ways() {
    let (client, _, local) = talks_over("mem://both-ways").await;
    assert_eq!(local.to_string(), "mem://both-ways");
    assert_eq!(client.peer.to_string(), "mem://both-ways");
    assert!(client.is_confidential);
}

#[tokio::test]
async fn an_anonymous_pair_is_connected() {
    let (mut client, mut server) = memory_pair();
    client.stream.write_all(b"x").await.unwrap();
    assert_eq!(server.stream.read_u8().await.unwrap(), b'x');
    drop(client);
    assert_eq!(
        server.stream.read_u8().await.unwrap_err().kind(),
        ErrorKind::UnexpectedEof
    );
}

#[tokio::test]
async fn a_name_in_memory_belongs_to_one_listener_until_it_is_dropped() {
    let here = url("mem://one-listener");
    assert_eq!(
        connect(&here).await.unwrap_err().kind(),
        ErrorKind::ConnectionRefused
    );
    let listener = Listener::bind(&here).await.unwrap();
    assert_eq!(
        Listener::bind(&here).await.unwrap_err().kind(),
        ErrorKind::AddrInUse
    );
    drop(listener);
    assert_eq!(
        connect(&here).await.unwrap_err().kind(),
        ErrorKind::ConnectionRefused
    );
    Listener::bind(&here).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn connections_in_memory_queue_up_to_a_bound() {
    let here = url("mem://bounded");
    let listener = Listener::bind(&here).await.unwrap();
    let mut waiting = Vec::new();
    while let Ok(connection) = timeout(Duration::from_millis(50), connect(&here)).await {
        waiting.push(connection.unwrap());
        assert!(waiting.len() < 1000, "the queue has no bound");
    }
    let one_more = tokio::spawn({
        let here = here.clone();
        async move { connect(&here).await }
    });
    listener.accept().await.unwrap();
    timeout(SOON, one_more).await.unwrap().unwrap().unwrap();

    let refused = tokio::spawn(async move { connect(&here).await });
    tokio::task::yield_now().await;
    drop(listener);
    let error = timeout(SOON, refused).await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn a_transport_of_ones_own_carries_bytes_too() {
    let (ours, mut theirs) = tokio::io::duplex(16);
    let mut stream = Stream::boxed(ours);
    stream.write_all(b"own").await.unwrap();
    let mut heard = [0; 3];
    theirs.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"own");
}

#[test]
fn urls_are_read_and_written_alike() {
    let cases = [
        ("tcp://127.0.0.1:4000", "tcp://127.0.0.1:4000"),
        ("TCP://chat.example.org:1/", "tcp://chat.example.org:1"),
        ("tcp://[::1]:0", "tcp://[::1]:0"),
        ("tcp://[fe80::1%25eth0]:9", "tcp://[fe80::1%25eth0]:9"),
        ("mem://a%20b", "mem://a%20b"),
        ("mem://x?a=1&b=", "mem://x?a=1&b="),
        ("tcp://h:1?name=%41%26&", "tcp://h:1?name=A%26"),
        ("tcp://h:1?", "tcp://h:1"),
        ("unix:///run/chat.sock", "unix:///run/chat.sock"),
        ("UNIX:///a%20b/%41?x=1", "unix:///a%20b/A?x=1"),
        ("unix:///a:b,c/d", "unix:///a%3Ab%2Cc/d"),
    ];
    for (text, written) in cases {
        let parsed = url(text);
        assert_eq!(parsed.to_string(), written, "{text}");
        assert_eq!(url(written), parsed, "{text}");
    }
    assert_eq!(
        url("tcp://h:1?name=%41%26&").settings(),
        [("name".into(), "A&".into())]
    );
}

#[test]
fn a_url_may_have_several_addresses_of_which_a_server_takes_none() {
    let several = url("tcp://a:1,[::1]:2,c:3?codec=json");
    let listed: Vec<String> = several.addresses().map(ToString::to_string).collect();
    assert_eq!(listed, ["tcp://a:1", "tcp://[::1]:2", "tcp://c:3"]);
    assert_eq!(several.to_string(), "tcp://a:1,[::1]:2,c:3?codec=json");
    assert_eq!(url(&several.to_string()), several);
    assert_eq!(
        several.only_address().expect_err("three").to_string(),
        "the URL names 3 addresses: a server listens at one"
    );
}

#[test]
fn it_is_known_which_addresses_are_confidential() {
    for local in [
        "tcp://127.9.9.9:1",
        "tcp://[::1]:1",
        "tcp://LocalHost:1",
        "mem://x",
        "unix:///x",
    ] {
        assert!(is_confidential(url(local).address()), "{local}");
    }
    for far in [
        "tcp://10.0.0.1:1",
        "tcp://[::]:1",
        "tcp://0.0.0.0:1",
        "tcp://localhost.example:1",
    ] {
        assert!(!is_confidential(url(far).address()), "{far}");
    }
    let own = ServiceUrl::parse_any("own://127.0.0.1:1").unwrap();
    assert!(!is_confidential(own.address()));
}

#[tokio::test]
async fn an_ipv4_peer_of_a_socket_for_both_families_is_confidential_on_loopback() {
    let Ok(listener) = Listener::bind(&url("tcp://[::]:0")).await else {
        return;
    };
    let port = listener.local_url().address().port().unwrap();
    let Ok(client) = connect(&url(&format!("tcp://127.0.0.1:{port}"))).await else {
        return;
    };
    let server = upgraded(listener.accept().await).await;
    assert!(server.is_confidential);
    assert_eq!(server.peer.ip(), client.local.ip());
}

#[test]
fn log_lines_are_limited_by_ip_address_or_name() {
    let socket = |text: &str| PeerAddress::Socket(text.parse().unwrap()).source();
    assert_eq!(socket("10.0.0.1:1"), socket("10.0.0.1:2"));
    assert_eq!(socket("10.0.0.1:1"), socket("[::ffff:10.0.0.1]:3"));
    assert_ne!(socket("10.0.0.1:1"), socket("10.0.0.2:1"));
    let named = |text: &str| PeerAddress::Named(text.into()).source();
    assert_eq!(named("mem://x"), named("mem://x"));
    assert_ne!(named("mem://x"), named("mem://y"));
}

#[test]
fn the_path_of_a_unix_socket_has_the_length_that_fits() {
    let of = |len: usize| ServiceUrl::parse(&format!("unix:///{}", "x".repeat(len - 1)));
    let max = if cfg!(any(target_os = "linux", target_os = "android")) {
        107
    } else {
        103
    };
    of(max).unwrap();
    let error = of(max + 1).unwrap_err().to_string();
    let told = format!(
        "too long for the path of a Unix socket: {} bytes, {max} fit",
        max + 1
    );
    assert!(error.ends_with(&told), "{error}");
}

#[test]
fn a_path_is_short_for_a_topic() {
    let cases = [
        ("tcp://a:1/fleet", Some("fleet"), "tcp://a:1?topic=fleet"),
        (
            "tcp://a:1,b:2/fleet/7",
            Some("fleet/7"),
            "tcp://a:1,b:2?topic=fleet%2F7",
        ),
        (
            "tcp://a:1/fleet/?x=1",
            Some("fleet"),
            "tcp://a:1?topic=fleet&x=1",
        ),
        ("tcp://a:1/a%20b", Some("a b"), "tcp://a:1?topic=a%20b"),
        (
            "tcp://a:1?x=1&topic=fleet/7",
            Some("fleet/7"),
            "tcp://a:1?topic=fleet%2F7&x=1",
        ),
        ("mem://x/fleet", Some("fleet"), "mem://x?topic=fleet"),
        ("mem://x/", None, "mem://x"),
        ("unix:///run/x", None, "unix:///run/x"),
        (
            "unix:///run/x?topic=fleet",
            Some("fleet"),
            "unix:///run/x?topic=fleet",
        ),
    ];
    for (text, topic, written) in cases {
        let parsed = url(text);
        assert_eq!(parsed.topic(), topic, "{text}");
        assert_eq!(parsed.to_string(), written, "{text}");
        assert_eq!(url(written), parsed, "{text}");
    }
    let text = url("tcp://a:1/fleet").check_direct().unwrap_err();
    assert_eq!(
        text.to_string(),
        r#"the URL names the topic "fleet": leave it out, a direct connection has none, and clients of a `BrokerConnection` name theirs"#
    );
}

#[test]
fn the_url_of_a_users_own_transport_is_kept_as_it_is() {
    let text = "unix+z:///run/a%20b.sock?ping_interval=5s";
    let own = ServiceUrl::parse_any(text).unwrap();
    let address = own.address();
    assert_eq!(address.scheme(), "unix+z");
    assert_eq!(
        (address.authority(), address.path()),
        ("", "/run/a%20b.sock")
    );
    assert_eq!((address.host(), address.port()), (None, None));
    assert_eq!(own.topic(), None);
    assert_eq!(own.to_string(), text);
    let known = ServiceUrl::parse_any("TCP://[fe80::1%25eth0]:9/fleet").unwrap();
    assert_eq!(known.address().host().as_deref(), Some("fe80::1%eth0"));
    assert_eq!(known.topic(), Some("fleet"));
    for wrong in ["1own://x", "ö://x", "://x", "a b://x"] {
        let error = ServiceUrl::parse_any(wrong).unwrap_err();
        assert!(matches!(error, UrlError::UnknownScheme { .. }), "{wrong}");
    }
}

#[tokio::test]
async fn an_address_of_a_users_own_transport_is_not_reached_by_ours() {
    let own = ServiceUrl::parse_any("own://x").unwrap();
    let error = connect(&own).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let error = Listener::bind(&own).await.unwrap_err();
    assert_eq!(error.to_string(), r#"no transport has the scheme "own""#);
}

#[tokio::test]
async fn an_upgrade_that_fails_is_the_connections_error() {
    let (near, _) = memory_pair();
    let incoming = Incoming::upgrading(near.peer.clone(), async {
        Err(ErrorKind::InvalidData.into())
    });
    assert_eq!(incoming.peer(), &near.peer);
    let error = incoming.upgrade().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
}

#[test]
fn a_wrong_url_is_told_what_is_wrong_with_it() {
    let unknown = format!(
        r#"unknown scheme "http": there are {}"#,
        registry::schemes()
    );
    let cases = [
        (
            "localhost:4000",
            r#""localhost:4000" has no scheme: write tcp://host:port"#,
        ),
        ("", r#""" has no scheme: write tcp://host:port"#),
        ("http://a:1/x", &*unknown),
        (
            "tcp://,a:1",
            r#""" is not a host name, an IPv4 address or an IPv6 address in brackets"#,
        ),
        ("tcp://a:1,b", r#""b" has no port: write tcp://host:port"#),
        ("tcp://a", r#""a" has no port: write tcp://host:port"#),
        ("tcp://a:", r#""a:" has no port: write tcp://host:port"#),
        (
            "tcp://[::1]",
            r#""[::1]" has no port: write tcp://host:port"#,
        ),
        ("tcp://a:65536", r#""65536" is not a port: 0 to 65535 are"#),
        ("tcp://a:+80", r#""+80" is not a port: 0 to 65535 are"#),
        (
            "tcp://:80",
            r#"":80" has no host: write 0.0.0.0 or [::] to listen on every address"#,
        ),
        (
            "tcp://::1:80",
            r#""::1:80" looks like an IPv6 address: write it in brackets, such as tcp://[::1]:4000"#,
        ),
        (
            "tcp://fe80::1:80",
            r#""fe80::1:80" looks like an IPv6 address: write it in brackets, such as tcp://[::1]:4000"#,
        ),
        (
            "tcp://[::1:80",
            r#""[::1:80" is not a host name, an IPv4 address or an IPv6 address in brackets"#,
        ),
        (
            "tcp://[1.2.3.4]:80",
            r#""[1.2.3.4]:80" is not a host name, an IPv4 address or an IPv6 address in brackets"#,
        ),
        (
            "tcp://bücher.example:80",
            r#""bücher.example:80" is not a host name, an IPv4 address or an IPv6 address in brackets"#,
        ),
        (
            "tcp://ada:secret@a:1",
            "a URL must not hold a user or a password (before the @)",
        ),
        (
            "tcp://a:1/a%00",
            r#""a\0" is not a topic: 1 to 255 bytes of text without control characters are"#,
        ),
        (
            "tcp://a:1?topic=",
            r#""" is not a topic: 1 to 255 bytes of text without control characters are"#,
        ),
        (
            "tcp://a:1/x?topic=x",
            r#"the setting "topic" is there twice"#,
        ),
        (
            "tcp://a:1/%4",
            r#""%4" holds a broken percent escape: write % itself as %25"#,
        ),
        (
            "tcp://a:1#x",
            "a service's URL has no `#`: no fragment, and no filter of topics of any depth, which names its levels (`+` is any one)",
        ),
        (
            "tcp://a:1?x=%4",
            r#""%4" holds a broken percent escape: write % itself as %25"#,
        ),
        (
            "tcp://a:1?x=%ff",
            r#""%ff" holds a broken percent escape: write % itself as %25"#,
        ),
        (
            "tcp://a:1?x",
            r#""x" is not a setting: write ?name=value&name=value"#,
        ),
        (
            "tcp://a:1?=1",
            r#""=1" is not a setting: write ?name=value&name=value"#,
        ),
        ("tcp://a:1?x=1&%78=2", r#"the setting "x" is there twice"#),
        (
            "mem://",
            r#""" is not the name of an in-memory listener: 1 to 255 bytes of text are"#,
        ),
        (
            "unix://run/chat.sock",
            r#""run/chat.sock" is not an absolute path: write unix:///run/chat.sock, with three slashes"#,
        ),
        (
            "unix://?mode=0660",
            r#""" is not an absolute path: write unix:///run/chat.sock, with three slashes"#,
        ),
        (
            "unix:///run/",
            r#""/run/" cannot be the path of a socket: it ends in a slash or has control characters"#,
        ),
        (
            "unix:///run/a%00b",
            r#""/run/a\0b" cannot be the path of a socket: it ends in a slash or has control characters"#,
        ),
        (
            "unix:///%ff",
            r#""/%ff" holds a broken percent escape: write % itself as %25"#,
        ),
        (
            "mem://a%00",
            r#""a\0" is not the name of an in-memory listener: 1 to 255 bytes of text are"#,
        ),
    ];
    for (text, error) in cases {
        assert_eq!(
            ServiceUrl::parse(text).unwrap_err().to_string(),
            error,
            "{text}"
        );
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,40}", scheme in "(tcp|mem|unix)://") {
        let _ = ServiceUrl::parse(&text);
        if let Ok(url) = ServiceUrl::parse(&format!("{scheme}{text}")) {
            proptest::prop_assert_eq!(ServiceUrl::parse(&url.to_string()), Ok(url));
        }
    }
}

#[test]
fn a_scheme_that_is_not_built_in_is_told_what_it_needs() {
    for scheme in ["tls", "ws", "wss", "quic"] {
        let needs = registry::needed_for(scheme).expect("it is not always there");
        match ServiceUrl::parse(&format!("{scheme}://localhost:7400")) {
            Ok(_) => assert!(registry::find(scheme).is_some()),
            Err(error) => assert_eq!(
                error.to_string(),
                format!(
                    "the scheme {scheme:?} needs {needs} of msip-runtime, to be listed in Cargo.toml"
                )
            ),
        }
    }
    assert_eq!(registry::needed_for("tcp"), None);
}

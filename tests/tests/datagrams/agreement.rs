//! Whether there are datagrams: what is refused, what is said, and what goes by the connection instead.

use std::{io, net::SocketAddr, sync::Arc};

use msip_runtime::{
    BindError, Channel, Client, Codec, Compression, ConnectError, MsgKind, Server,
    transport::{Address, Connection, PeerAddress, UrlError},
};
use msip_tests::{
    LabServer,
    gauges::{Gauges, SendClientToServer as _},
    lab::Lab,
    next, soon,
};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::{
    talk::{Seen, Served, line},
    tap::Tap,
};

/// The text of an error, with its causes.
fn all(error: &impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

async fn refused(url: &str) -> ConnectError {
    let connecting = Client::<Gauges>::connect(url);
    soon("an error", connecting).await.expect_err("refused")
}

#[tokio::test]
async fn a_server_or_client_of_datagrams_alone_is_refused() {
    let bound = Server::<Gauges>::bind("udp://127.0.0.1:0").await;
    let error = bound.expect_err("refused");
    assert!(
        matches!(error, BindError::Url(UrlError::DatagramsOnly)),
        "{error:?}"
    );
    assert_eq!(
        error.to_string(),
        "udp:// has datagrams only, for connections of other transports: a server is given it by `also`, beside such a \
         transport, and a client by the setting `channel`"
    );
    let error = refused("udp://127.0.0.1:7400").await;
    assert!(
        matches!(error, ConnectError::Url(UrlError::DatagramsOnly)),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_address_of_datagrams_is_checked_before_anything_is_bound() {
    for (url, text) in [
        (
            "udp://0.0.0.0:0",
            "connections to udp://0.0.0.0:0 would not be confidential",
        ),
        ("udp://127.0.0.1", "has no port"),
        (
            "udp://127.0.0.1:0?max_body=1KiB",
            "setting `max_body` in udp://127.0.0.1:0",
        ),
        (
            "udp://0.0.0.0:0?insecure=perhaps",
            "setting `insecure`: `perhaps` cannot be used: it is `true` or `false`",
        ),
        ("udp://127.0.0.1:0?cert=a", "unknown setting `cert`"),
    ] {
        let builder = Server::<Gauges>::builder("tcp://127.0.0.1:0").also(url);
        let error = builder.bind().await.expect_err(url);
        assert!(all(&error).contains(text), "{error:?}");
    }
    for (url, also) in [
        ("tcp://127.0.0.1:0?insecure=true", "udp://0.0.0.0:0"),
        ("tcp://127.0.0.1:0", "udp://0.0.0.0:0?insecure=true"),
    ] {
        let server = Server::<Gauges>::builder(url).also(also).bind().await;
        assert_eq!(server.expect("binds").local_urls().count(), 2);
    }
}

#[tokio::test]
async fn a_channel_that_cannot_be_of_datagrams_is_refused() {
    for (channels, text) in [
        (
            "channel=log,event:udp://127.0.0.1:1",
            "the channel to udp://127.0.0.1:1 sends datagrams, which are for `log` and `metric`: give `event` to another one",
        ),
        (
            "channel=log:udp://127.0.0.1:1&channel=metric:udp://127.0.0.1:2",
            "the channel to udp://127.0.0.1:2 is a second one of datagrams: give `log` and `metric` to one",
        ),
        (
            "channel=log:udp://127.0.0.1:1?codec=json",
            "the channel to udp://127.0.0.1:1 takes no setting `codec`: expected one of `ping_interval`, `insecure` (it is set for \
             the client and all of its channels, in the URL of the client)",
        ),
    ] {
        let error = refused(&format!("tcp://127.0.0.1:7400?{channels}")).await;
        assert_eq!(error.to_string(), text);
    }
    let channel = Channel::new("udp://127.0.0.1:1").kinds([MsgKind::Log]);
    for (channel, name) in [
        (channel.clone().codec(Codec::Json), "codec"),
        (channel.compression(Compression::Gzip), "compress"),
    ] {
        let builder = Client::<Gauges>::builder("tcp://127.0.0.1:7400").channel(channel);
        let error = soon("an error", builder.connect()).await.expect_err(name);
        let text = error.to_string();
        assert!(
            text.contains(&format!("takes no setting `{name}`")),
            "{text}"
        );
    }
}

#[tokio::test]
async fn datagrams_that_others_could_read_are_not_sent_unless_the_user_insists() {
    let served = Served::start("tcp://127.0.0.1:0", 0).await;
    // A documentation address: nothing is sent to it.
    let channel = "channel=log:udp://192.0.2.1:7401";
    let error = refused(&format!("{}?{channel}", served.url)).await;
    assert_eq!(
        error.to_string(),
        "the channel to udp://192.0.2.1:7401 cannot be used: datagrams are not encrypted, and others could read them on the \
         way: send them to this machine, or set `insecure`"
    );
    let url = format!("{}?{channel}?insecure=true", served.url);
    let client = soon("a client", Client::<Gauges>::connect(url)).await;
    client.expect("connects").close().await;
}

#[tokio::test]
async fn a_key_that_others_could_read_is_not_asked_for() {
    let served = Served::start("tcp://127.0.0.1:0", 0).await;
    let authority = served.url.address().authority().to_owned();
    // It does not say that it is confidential.
    let connector = move |_: Address| {
        let authority = authority.clone();
        async move {
            let stream = TcpStream::connect(authority).await?;
            let (local, peer) = (stream.local_addr()?, stream.peer_addr()?);
            io::Result::Ok(Connection::new(stream, local.into(), peer.into()))
        }
    };
    let url = format!("tcp://server.example:7400?channel=log:udp://{}", served.udp);
    let connecting = Client::<Gauges>::builder(url)
        .connector(connector)
        .connect();
    let error = soon("an error", connecting).await.expect_err("refused");
    assert_eq!(
        error.to_string(),
        format!(
            "the channel to udp://{} cannot be used: others could read its key on the client's connection: encrypt \
             that, or set `insecure`",
            served.udp
        )
    );
}

/// The beginning of a connection that a proxy hands on for this client.
fn proxy_header(client: SocketAddr) -> Vec<u8> {
    let SocketAddr::V4(client) = client else {
        panic!("{client}");
    };
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    header.extend_from_slice(&client.ip().octets());
    header.extend_from_slice(&[127, 0, 0, 1]);
    header.extend_from_slice(&client.port().to_be_bytes());
    header.extend_from_slice(&[0, 80]);
    header
}

#[tokio::test]
async fn a_server_gives_no_key_where_others_could_read_it() {
    let mut served = Served::start("tcp://127.0.0.1:0?proxy_from=127.0.0.1", 1_000_000).await;
    let tap = Tap::start(served.udp).await;
    let authority = served.url.address().authority().to_owned();
    // To the server it comes from another machine, without TLS; the client believes that it is confidential.
    let connector = move |_: Address| {
        let authority = authority.clone();
        async move {
            let mut stream = TcpStream::connect(authority).await?;
            let header = proxy_header(([192, 0, 2, 1], 4000).into());
            stream.write_all(&header).await?;
            let named = PeerAddress::Named(Arc::from("proxy"));
            io::Result::Ok(Connection::new(stream, named.clone(), named).confidential())
        }
    };
    let url = format!(
        "tcp://server.example:7400?channel=log:udp://{}",
        tap.address()
    );
    let connecting = Client::<Gauges>::builder(url)
        .connector(connector)
        .connect();
    let client = soon("a client", connecting).await.expect("connects");
    goes_by_the_connection(&client, &mut served, tap).await;
}

async fn goes_by_the_connection(client: &Client<Gauges>, served: &mut Served, mut tap: Tap) {
    for number in 0..20 {
        client.line_log(line(number, 0)).await.expect("sent");
        assert_eq!(next(&mut served.seen).await, Seen::Log(number));
    }
    assert_eq!(tap.count_of_client(), 0);
}

#[tokio::test]
async fn without_datagrams_at_the_server_all_goes_by_the_connection() {
    let (handler, _events) = LabServer::new();
    let server = Server::<Lab>::bind("tcp://127.0.0.1:0")
        .await
        .expect("binds");
    let url = format!(
        "{}?channel=log,metric:udp://127.0.0.1:1",
        server.local_url()
    );
    let serving = tokio::spawn(server.serve(handler));
    let client = soon("a client", Client::<Lab>::connect(url))
        .await
        .expect("connects");
    client.close().await;
    serving.abort();
}

#[tokio::test]
async fn a_client_may_leave_the_port_to_the_server() {
    let mut served = Served::start("tcp://127.0.0.1:0", 1_000_000).await;
    let url = format!("{}?channel=log:udp://127.0.0.1:0", served.url);
    let client = soon("a client", Client::<Gauges>::connect(url))
        .await
        .expect("connects");
    client.line_log(line(1, 0)).await.expect("sent");
    assert_eq!(next(&mut served.seen).await, Seen::Log(1));
}

//! The library of others at the other end.

use futures_util::{SinkExt as _, StreamExt as _};
use msip_runtime::{
    Client,
    wire::{Decoder, FrameType, Limits},
};
use msip_tests::{
    connected,
    lab::{Lab, SendClientToServer as _},
    messages::echo,
    raw::{self, hello_frame},
    soon, start,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    accept_hdr_async, client_async,
    tungstenite::{
        Message,
        client::ClientRequestBuilder,
        handshake::server::{Request, Response},
    },
};

#[tokio::test]
async fn a_client_with_a_library_of_its_own_is_served() {
    let (url, mut events, _server) = start("ws://127.0.0.1:0/chat").await;
    let authority = url.address().authority().to_owned();
    let stream = TcpStream::connect(&authority).await.expect("connects");
    let uri = format!("ws://{authority}/chat").parse().expect("a URI");
    let request = ClientRequestBuilder::new(uri).with_sub_protocol("msip.1");
    let (mut socket, _) = soon("an upgrade", client_async(request, stream))
        .await
        .expect("upgrades");
    let hello = hello_frame(&raw::hello());
    socket.send(Message::binary(hello)).await.expect("sent");
    let welcome = soon("a WELCOME", socket.next())
        .await
        .expect("a message")
        .expect("good");
    let mut decoder = Decoder::new(Limits::default().max_payload());
    decoder.buffer().extend_from_slice(&welcome.into_data());
    let frame = decoder.decode().expect("good").expect("a frame");
    assert_eq!(frame.header.frame_type, FrameType::Ack);
    connected(&mut events).await;
    soon("close", socket.close(None)).await.expect("closed");
}

#[expect(
    clippy::result_large_err,
    reason = "the type of the library's callback"
)]
#[tokio::test]
async fn a_client_talks_through_a_server_with_a_library_of_its_own() {
    let (inner, _events, _server) = start("tcp://127.0.0.1:0").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let url = format!("ws://{}", listener.local_addr().expect("an address"));
    // What a gateway does: the payload of messages to TCP, and back.
    let gateway = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a client");
        let agree = |_: &Request, mut response: Response| {
            let protocol = "msip.1".parse().expect("a value");
            response
                .headers_mut()
                .insert("Sec-WebSocket-Protocol", protocol);
            Ok(response)
        };
        let socket = accept_hdr_async(stream, agree).await.expect("upgrades");
        let (mut to_client, mut from_client) = socket.split();
        let authority = inner.address().authority();
        let (mut from_server, mut to_server) = TcpStream::connect(authority)
            .await
            .expect("connects")
            .into_split();
        let there = async {
            while let Some(Ok(Message::Binary(bytes))) = from_client.next().await {
                assert!(bytes.len() <= 32 * 1024, "{}", bytes.len());
                tokio::io::AsyncWriteExt::write_all(&mut to_server, &bytes)
                    .await
                    .expect("sent");
            }
        };
        let back = async {
            let mut buffer = vec![0; 1000];
            while let Ok(len @ 1..) =
                tokio::io::AsyncReadExt::read(&mut from_server, &mut buffer).await
            {
                let part = buffer.get(..len).expect("was read").to_vec();
                to_client.send(Message::binary(part)).await.expect("sent");
            }
        };
        tokio::select! {
            () = there => {}
            () = back => {}
        }
    });
    let client = Client::<Lab>::connect(&url).await.expect("connects");
    let mut request = echo("hi");
    request.ballast = vec![7; 300_000];
    let answer = soon("an answer", client.echo_req(request))
        .await
        .expect("answers");
    assert_eq!(answer.ballast.len(), 300_000);
    soon("close", client.close()).await;
    soon("the gateway", gateway).await.expect("no panic");
}

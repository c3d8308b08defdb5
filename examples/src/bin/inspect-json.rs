//! A chat in JSON, through a proxy that prints every frame.
//!
//! ```text
//! cargo run -p msip-examples --bin inspect-json
//! cargo run -p msip-examples --bin inspect-json -- --codec msgpack
//! ```
//!
//! The client adds `?codec=json` to its address, and nothing else changes: the same server, the same generated code.
//! The proxy knows only the frames of `msip_runtime::wire`, as any tool on the wire could; with JSON it needs no schema
//! to show the messages.

#![expect(
    clippy::print_stdout,
    reason = "the frames on the line are what the program is for"
)]

use std::{error::Error, fmt::Write as _, net::SocketAddr, process::ExitCode, time::Duration};

use clap::{Parser, ValueEnum};
use msip_examples::{
    Room,
    chat::{
        Chat, ConnectReq, HandleServerToClient, MessageInd, PresenceReq, PresenceRsp,
        SendClientToServer as _, WhoReq,
    },
    with_causes,
};
use msip_runtime::{
    Client, Codec, Server, Status,
    wire::{
        Decoder, Escaped, Frame, FrameType, Limits, Payload, SessionId, parse_hello, parse_welcome,
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    time::timeout,
};

/// The client's codec.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Writing {
    Json,
    Msgpack,
    Protobuf,
}

#[derive(Debug, Parser)]
#[command(about = "Shows every frame of a short chat")]
struct Arguments {
    /// The codec of the messages.
    #[arg(long, value_enum, default_value = "json")]
    codec: Writing,
}

#[tokio::main]
async fn main() -> ExitCode {
    let codec = match Arguments::parse().codec {
        Writing::Json => Codec::Json,
        Writing::Msgpack => Codec::MessagePack,
        Writing::Protobuf => Codec::Protobuf,
    };
    // A time limit, whatever goes wrong.
    let outcome = match timeout(Duration::from_secs(60), conversation(codec)).await {
        Ok(outcome) => outcome,
        Err(_) => Err("no end within a minute".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

/// A client that is always at the keyboard.
struct Typist;

impl HandleServerToClient for Typist {
    async fn on_presence_req(
        &self,
        _: &Client<Chat>,
        _: PresenceReq,
    ) -> Result<PresenceRsp, Status> {
        Ok(PresenceRsp { active: true })
    }
}

async fn conversation(codec: Codec) -> Result<(), Box<dyn Error>> {
    let server = Server::<Chat>::bind("tcp://127.0.0.1:0").await?;
    let address = server
        .local_url()
        .to_string()
        .trim_start_matches("tcp://")
        .parse()?;
    tokio::spawn(server.serve(Room::new("be kind", |_| {})));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("tcp://{}", listener.local_addr()?);
    let tap = tokio::spawn(tap(listener, address));

    let client = Client::<Chat>::builder(&url)
        .codec(codec)
        .handler(Typist)
        .name("inspect-json")
        .connect()
        .await?;
    let user = "ada".to_owned();
    client
        .connect_req(ConnectReq { user: user.clone() })
        .await?;
    let text = "is \"anyone\" here?".to_owned();
    client.message_ind(MessageInd { user, text }).await?;
    client.who_req(WhoReq {}).await?;
    let refused = ConnectReq {
        user: "no spaces, please".to_owned(),
    };
    // The proxy prints its outcome.
    let _ = client.connect_req(refused).await;
    client.close().await;
    // Until the last frame was forwarded.
    tap.await??;
    Ok(())
}

/// Forwards one connection to the server, and prints its frames.
async fn tap(listener: TcpListener, server: SocketAddr) -> std::io::Result<()> {
    let (client, _) = listener.accept().await?;
    let server = TcpStream::connect(server).await?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::try_join!(
        pass(from_client, to_server, "client -> server"),
        pass(from_server, to_client, "server -> client"),
    )?;
    Ok(())
}

/// Forwards one direction. A frame is printed before its last byte is forwarded, so that no answer is printed first.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    direction: &str,
) -> std::io::Result<()> {
    let mut decoder = Decoder::new(Limits::default().max_payload());
    let mut received = [0; 4096];
    loop {
        let len = from.read(&mut received).await?;
        let Some(bytes) = received.get(..len).filter(|bytes| !bytes.is_empty()) else {
            return to.shutdown().await;
        };
        decoder.buffer().extend_from_slice(bytes);
        while let Some(frame) = decoder.decode().map_err(std::io::Error::other)? {
            println!("{direction}  {}", show(frame));
        }
        to.write_all(bytes).await?;
    }
}

/// A frame as a line: its type, its id, and its content.
fn show(frame: Frame) -> String {
    let header = frame.header;
    let mut line = format!("{:<8}", header.frame_type.to_string());
    match header.frame_type {
        FrameType::Hello => match parse_hello(header.kind, frame.payload) {
            Ok(hello) => {
                let _ = write!(line, "{:?}", hello.hello.codecs().collect::<Vec<_>>());
            }
            Err(error) => line.push_str(&error.to_string()),
        },
        FrameType::Ack if is_welcome(&frame) => {
            if let Ok(welcome) = parse_welcome(frame.payload) {
                let _ = write!(line, "{:?}", welcome.welcome.codec());
            }
        }
        FrameType::Publish | FrameType::Event | FrameType::Ack => {
            let _ = write!(line, "{:<11}", header.msg_id.to_string());
            match Payload::parse(frame, &Limits::default()) {
                Ok(payload) => line.push_str(&body(&payload.body)),
                Err(error) => line.push_str(&error.to_string()),
            }
        }
        FrameType::Error | FrameType::Close => {
            let text = String::from_utf8_lossy(&frame.payload);
            let _ = write!(
                line,
                "{:<11}{}",
                header.msg_id.to_string(),
                Escaped::new(&text)
            );
        }
        _ => {
            let _ = write!(line, "{} bytes", frame.payload.len());
        }
    }
    line
}

/// Whether an ACK answers a HELLO: only that begins with a session id, and has no variant.
fn is_welcome(frame: &Frame) -> bool {
    frame.header.variant == 0 && frame.payload.len() > SessionId::LEN
}

/// A body as text, with escapes for what is not text.
fn body(body: &[u8]) -> String {
    match std::str::from_utf8(body) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => body.escape_ascii().to_string(),
    }
}

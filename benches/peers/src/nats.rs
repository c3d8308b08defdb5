//! NATS with `async-nats`, as its documentation has it: a service that subscribes and answers at the reply subject, and clients whose
//! requests share a connection. Bodies are those of gRPC. The server's program is `nats-server`, or what `NATS_SERVER` names.
//!
//! The processor time of the NATS server is that of the service's side: this process waits for it.

use std::{
    env,
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use async_nats::{Client, ConnectOptions, Message, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt as _;
use msip_load::{Arrivals, Failure, Note, Peer, Tally, Target, data_of};
use prost::Message as _;
use tokio::time::sleep;

use crate::grpc::wire;

/// What the service hears: one subject for each thing that it does, in order.
const ALL: &str = "bench.*";
const ECHO: &str = "bench.echo";
const TELL: &str = "bench.tell";
const TALLY: &str = "bench.tally";
const FEED: &str = "bench.feed";
const SHOUT: &str = "bench.shout";
/// What every client hears.
const SHOUTED: &str = "shouted";

/// How many messages wait for a subscriber: one that falls behind loses others.
const CAPACITY: usize = 1 << 20;

/// Serves until it is dropped.
pub(crate) async fn serve(announce: impl FnOnce(u16)) -> Result<(), Failure> {
    let (_server, port) = Server::start().await?;
    let client = connect(port).await?;
    let mut heard = client.subscribe(ALL).await.map_err(Failure::library)?;
    client.flush().await.map_err(Failure::library)?;
    announce(port);
    let mut tally = Tally::default();
    while let Some(message) = heard.next().await {
        answer(&client, &mut tally, message).await?;
    }
    Ok(())
}

async fn answer(client: &Client, tally: &mut Tally, message: Message) -> Result<(), Failure> {
    let body = match message.subject.as_str() {
        TELL => {
            tally.add(read(message.payload)?.number);
            return Ok(());
        }
        // Decoded and encoded, as the others do.
        ECHO => write(read(message.payload)?),
        TALLY => write(Note {
            number: tally.sum,
            data: Bytes::copy_from_slice(&tally.count.to_be_bytes()),
        }),
        SHOUT => {
            let published = client.publish(SHOUTED, message.payload).await;
            published.map_err(Failure::library)?;
            Bytes::new()
        }
        FEED => {
            let asked = read(message.payload)?;
            let (count, data) = (asked.number, data_of(asked.data.len()));
            let Some(reply) = message.reply else {
                return Ok(());
            };
            for number in 0..count {
                let data = data.clone();
                let body = write(Note { number, data });
                let sent = client.publish(reply.clone(), body).await;
                sent.map_err(Failure::library)?;
            }
            return Ok(());
        }
        _ => return Ok(()),
    };
    match message.reply {
        Some(reply) => client.publish(reply, body).await.map_err(Failure::library),
        None => Ok(()),
    }
}

async fn connect(port: u16) -> Result<Client, Failure> {
    let options = ConnectOptions::new().subscription_capacity(CAPACITY);
    let connecting = options.connect(format!("nats://127.0.0.1:{port}"));
    connecting.await.map_err(Failure::library)
}

fn read(body: Bytes) -> Result<Note, Failure> {
    let note = wire::Note::decode(body).map_err(Failure::library)?;
    Ok(Note {
        number: note.number,
        data: note.data,
    })
}

fn write(note: Note) -> Bytes {
    let note = wire::Note {
        number: note.number,
        data: note.data,
    };
    note.encode_to_vec().into()
}

/// A client, for as many tasks as there are.
#[derive(Debug, Clone)]
pub(crate) struct Connection(Client);

impl Connection {
    async fn ask(&self, subject: &'static str, body: Bytes) -> Result<Bytes, Failure> {
        let answer = self.0.request(subject, body).await;
        Ok(answer.map_err(Failure::library)?.payload)
    }
}

/// Counts what one client hears.
async fn listen(mut heard: Subscriber, arrivals: Arrivals) {
    let counter = arrivals.of_one();
    while let Some(message) = heard.next().await {
        if let Ok(note) = read(message.payload) {
            counter.add(note.number);
        }
    }
}

impl Peer for Connection {
    async fn connect(target: &Target) -> Result<Self, Failure> {
        let client = connect(target.port).await?;
        if let Some(arrivals) = &target.arrivals {
            let heard = client.subscribe(SHOUTED).await.map_err(Failure::library)?;
            client.flush().await.map_err(Failure::library)?;
            tokio::spawn(listen(heard, arrivals.clone()));
        }
        Ok(Self(client))
    }

    async fn call(&self, note: Note) -> Result<Note, Failure> {
        read(self.ask(ECHO, write(note)).await?)
    }

    async fn tell(&self, note: Note) -> Result<(), Failure> {
        let told = self.0.publish(TELL, write(note)).await;
        told.map_err(Failure::library)
    }

    async fn tally(&self) -> Result<Tally, Failure> {
        let answer = read(self.ask(TALLY, Bytes::new()).await?)?;
        let count = answer.data.first_chunk().copied().unwrap_or_default();
        Ok(Tally {
            count: u64::from_be_bytes(count),
            sum: answer.number,
        })
    }

    async fn take_answers(&self, size: usize, count: u64) -> Result<Tally, Failure> {
        let inbox = self.0.new_inbox();
        let mut answers = self
            .0
            .subscribe(inbox.clone())
            .await
            .map_err(Failure::library)?;
        let asked = write(Note {
            number: count,
            data: Bytes::from(vec![0; size]),
        });
        let sent = self.0.publish_with_reply(FEED, inbox, asked).await;
        sent.map_err(Failure::library)?;
        let mut tally = Tally::default();
        while tally.count < count {
            let Some(answer) = answers.next().await else {
                break;
            };
            tally.add(read(answer.payload)?.number);
        }
        Ok(tally)
    }

    async fn shout(&self, note: Note) -> Result<(), Failure> {
        self.ask(SHOUT, write(note)).await.map(drop)
    }
}

/// The process of the NATS server. Dropped, it is killed, and waited for.
struct Server(Child);

impl Server {
    async fn start() -> Result<(Self, u16), Failure> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let program = env::var_os("NATS_SERVER").unwrap_or_else(|| "nats-server".into());
        let child = Command::new(program)
            .args(["--addr", "127.0.0.1", "--port", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = child else {
            // Where it is not installed.
            return Err(Failure::NotOffered);
        };
        let server = Self(child);
        for _ in 0..1000 {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok((server, port));
            }
            sleep(Duration::from_millis(10)).await;
        }
        Err(Failure::Protocol("nats-server does not listen".to_owned()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

//! `framed`, as much software has it: `tokio_util`'s `Framed` over TCP, with its `LengthDelimitedCodec`, prost in it, and a
//! `send` for each message.
//!
//! A connection is split into a task that reads and one that writes, fed by a channel, as tokio's tutorial has it. A call is
//! a oneshot channel in a map, by its number. Sending one message at a time is what this contender is about: who feeds
//! many before a flush is on the way to `raw`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use msip_load::{Arrivals, Counter, Failure, Note, Peer, Tally, Target, data_of};
use prost::{Message, Oneof};
use tokio::{
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, oneshot},
    task::{AbortHandle, JoinSet},
};
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};

/// How many messages wait for the task that writes them.
const QUEUE_LEN: usize = 1024;

/// A message, under a number that ties an answer to what it answers.
#[derive(Clone, PartialEq, Message)]
struct Envelope {
    #[prost(fixed64, tag = "1")]
    id: u64,
    #[prost(oneof = "Content", tags = "2, 3, 4, 5, 6")]
    content: Option<Content>,
}

/// What is said.
#[derive(Clone, PartialEq, Oneof)]
enum Content {
    #[prost(message, tag = "2")]
    Echo(FramedNote),
    #[prost(message, tag = "3")]
    Note(FramedNote),
    #[prost(message, tag = "4")]
    Tally(FramedTally),
    #[prost(message, tag = "5")]
    Feed(FramedFeed),
    #[prost(message, tag = "6")]
    Shout(FramedNote),
}

#[derive(Clone, PartialEq, Message)]
struct FramedNote {
    #[prost(fixed64, tag = "1")]
    number: u64,
    #[prost(bytes = "bytes", tag = "2")]
    data: Bytes,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct FramedTally {
    #[prost(uint64, tag = "1")]
    count: u64,
    #[prost(uint64, tag = "2")]
    sum: u64,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct FramedFeed {
    #[prost(uint64, tag = "1")]
    count: u64,
    #[prost(uint32, tag = "2")]
    size: u32,
}

type Reader = FramedRead<OwnedReadHalf, LengthDelimitedCodec>;
type Writer = FramedWrite<OwnedWriteHalf, LengthDelimitedCodec>;
type Crowd = Arc<Mutex<HashMap<u64, mpsc::Sender<Envelope>>>>;
type Waiting = Arc<Mutex<HashMap<u64, Answer>>>;

/// Who waits for what is said under a number.
enum Answer {
    One(oneshot::Sender<Content>),
    Many(mpsc::Sender<Content>),
}

fn split(stream: TcpStream) -> Result<(Reader, Writer), Failure> {
    stream.set_nodelay(true)?;
    let (reader, writer) = stream.into_split();
    Ok((
        FramedRead::new(reader, LengthDelimitedCodec::new()),
        FramedWrite::new(writer, LengthDelimitedCodec::new()),
    ))
}

/// Writes what comes through the channel, one message after the other.
async fn write_all(mut writer: Writer, mut messages: mpsc::Receiver<Envelope>) {
    while let Some(message) = messages.recv().await {
        let bytes = Bytes::from(message.encode_to_vec());
        if writer.send(bytes).await.is_err() {
            return;
        }
    }
}

/// Serves until it is dropped.
pub(crate) async fn serve(announce: impl FnOnce(u16)) -> Result<(), Failure> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    announce(listener.local_addr()?.port());
    let crowd = Crowd::default();
    let mut tasks = JoinSet::new();
    for id in 0.. {
        let (stream, _) = listener.accept().await?;
        let (reader, writer) = split(stream)?;
        let (sender, messages) = mpsc::channel(QUEUE_LEN);
        lock(&crowd).insert(id, sender.clone());
        tasks.spawn(write_all(writer, messages));
        let crowd = Arc::clone(&crowd);
        tasks.spawn(async move {
            // Why it ended the client tells.
            let _ = answer_all(reader, sender, &crowd).await;
            lock(&crowd).remove(&id);
        });
        while tasks.try_join_next().is_some() {}
    }
    Ok(())
}

async fn answer_all(
    mut reader: Reader,
    sender: mpsc::Sender<Envelope>,
    crowd: &Crowd,
) -> Result<(), Failure> {
    let mut tally = Tally::default();
    let send = async |id, content| {
        let content = Some(content);
        let sent = sender.send(Envelope { id, content }).await;
        sent.map_err(Failure::library)
    };
    while let Some(frame) = reader.next().await {
        let Envelope { id, content } =
            Envelope::decode(frame?.freeze()).map_err(Failure::library)?;
        match content {
            Some(Content::Echo(note)) => send(id, Content::Echo(note)).await?,
            Some(Content::Note(note)) => tally.add(note.number),
            Some(Content::Tally(_)) => {
                let Tally { count, sum } = tally;
                send(id, Content::Tally(FramedTally { count, sum })).await?;
            }
            Some(Content::Feed(FramedFeed { count, size })) => {
                let data = data_of(size as usize);
                for number in 0..count {
                    let data = data.clone();
                    send(id, Content::Note(FramedNote { number, data })).await?;
                }
            }
            Some(Content::Shout(note)) => {
                let crowd: Vec<_> = lock(crowd).values().cloned().collect();
                for one in crowd {
                    let content = Some(Content::Note(note.clone()));
                    // A receiver that has left is skipped.
                    let _ = one.send(Envelope { id: 0, content }).await;
                }
                send(id, Content::Tally(FramedTally::default())).await?;
            }
            None => return Err(Failure::Protocol("nothing was said".to_owned())),
        }
    }
    Ok(())
}

/// A connection, for as many tasks as there are.
#[derive(Clone)]
pub(crate) struct Connection {
    sender: mpsc::Sender<Envelope>,
    waiting: Waiting,
    next_id: Arc<std::sync::atomic::AtomicU64>,
    _tasks: Arc<Tasks>,
}

/// The tasks of a connection, which end with it.
struct Tasks([AbortHandle; 2]);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

async fn read_all(mut reader: Reader, waiting: Waiting, counter: Option<Counter>) {
    while let Some(Ok(frame)) = reader.next().await {
        let Ok(Envelope {
            id,
            content: Some(content),
        }) = Envelope::decode(frame.freeze())
        else {
            break;
        };
        if id == 0 {
            if let (Some(counter), Content::Note(note)) = (&counter, content) {
                counter.add(note.number);
            }
            continue;
        }
        let many = match lock(&waiting).remove(&id) {
            // A caller that waits no longer is skipped.
            Some(Answer::One(answer)) => {
                let _ = answer.send(content);
                continue;
            }
            Some(Answer::Many(answers)) => answers,
            None => break,
        };
        if many.send(content).await.is_ok() {
            lock(&waiting).insert(id, Answer::Many(many));
        }
    }
    // Whoever waits hears that there is no answer.
    lock(&waiting).clear();
}

impl Connection {
    async fn send(&self, content: Content, answer: Option<Answer>) -> Result<(), Failure> {
        let mut id = 0;
        if let Some(answer) = answer {
            id = 1 + self
                .next_id
                .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            lock(&self.waiting).insert(id, answer);
        }
        let content = Some(content);
        let sent = self.sender.send(Envelope { id, content }).await;
        sent.map_err(Failure::library)
    }

    async fn ask(&self, content: Content) -> Result<Content, Failure> {
        let (answer, answered) = oneshot::channel();
        self.send(content, Some(Answer::One(answer))).await?;
        answered.await.map_err(Failure::library)
    }
}

impl Peer for Connection {
    async fn connect(target: &Target) -> Result<Self, Failure> {
        let stream = TcpStream::connect(("127.0.0.1", target.port)).await?;
        let (reader, writer) = split(stream)?;
        let (sender, messages) = mpsc::channel(QUEUE_LEN);
        let waiting = Waiting::default();
        let counter = target.arrivals.as_ref().map(Arrivals::of_one);
        let tasks = [
            tokio::spawn(write_all(writer, messages)).abort_handle(),
            tokio::spawn(read_all(reader, Arc::clone(&waiting), counter)).abort_handle(),
        ];
        Ok(Self {
            sender,
            waiting,
            next_id: Arc::default(),
            _tasks: Arc::new(Tasks(tasks)),
        })
    }

    async fn call(&self, Note { number, data }: Note) -> Result<Note, Failure> {
        match self.ask(Content::Echo(FramedNote { number, data })).await? {
            Content::Echo(FramedNote { number, data }) => Ok(Note { number, data }),
            other => Err(Failure::Protocol(format!("not an echo: {other:?}"))),
        }
    }

    async fn tell(&self, Note { number, data }: Note) -> Result<(), Failure> {
        self.send(Content::Note(FramedNote { number, data }), None)
            .await
    }

    async fn tally(&self) -> Result<Tally, Failure> {
        match self.ask(Content::Tally(FramedTally::default())).await? {
            Content::Tally(FramedTally { count, sum }) => Ok(Tally { count, sum }),
            other => Err(Failure::Protocol(format!("not a tally: {other:?}"))),
        }
    }

    async fn take_answers(&self, size: usize, count: u64) -> Result<Tally, Failure> {
        let size = u32::try_from(size).map_err(Failure::library)?;
        let (answers, mut answered) = mpsc::channel(QUEUE_LEN);
        self.send(
            Content::Feed(FramedFeed { count, size }),
            Some(Answer::Many(answers)),
        )
        .await?;
        let mut tally = Tally::default();
        while tally.count < count {
            match answered.recv().await {
                Some(Content::Note(note)) => tally.add(note.number),
                other => return Err(Failure::Protocol(format!("not a note: {other:?}"))),
            }
        }
        Ok(tally)
    }

    async fn shout(&self, Note { number, data }: Note) -> Result<(), Failure> {
        let told = self.ask(Content::Shout(FramedNote { number, data })).await;
        told.map(drop)
    }
}

/// Nothing panics while it holds one of these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

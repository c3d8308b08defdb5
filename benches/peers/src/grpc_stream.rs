//! tonic, with calls as messages of one stream either way: what its users do who need more calls than requests give. An
//! answer finds its caller by its number, in a map; that much they write themselves.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use msip_load::{Failure, Note, Peer, Target};
use tokio::{
    sync::{mpsc, oneshot},
    task::AbortHandle,
};
use tokio_stream::wrappers::ReceiverStream;

use crate::grpc::{open, wire};

/// How many messages wait between a task and a stream.
const QUEUE_LEN: usize = 1024;

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Bytes>>>>;

/// A stream of calls, and those who wait for their answers.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    calls: mpsc::Sender<wire::Note>,
    waiting: Waiting,
    next_id: Arc<AtomicU64>,
    _reader: Arc<Reader>,
}

/// The task that takes the answers.
#[derive(Debug)]
struct Reader(AbortHandle);

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Peer for Connection {
    async fn connect(target: &Target) -> Result<Self, Failure> {
        let mut client = open(target).await?;
        let (calls, stream) = mpsc::channel(QUEUE_LEN);
        let answers = client.echo_all(ReceiverStream::new(stream)).await;
        let mut answers = answers.map_err(Failure::library)?.into_inner();
        let waiting = Waiting::default();
        let reader = {
            let waiting = Arc::clone(&waiting);
            tokio::spawn(async move {
                while let Ok(Some(note)) = answers.message().await {
                    if let Some(caller) = lock(&waiting).remove(&note.number) {
                        // A caller that waits no longer is skipped.
                        let _ = caller.send(note.data);
                    }
                }
                lock(&waiting).clear();
            })
        };
        Ok(Self {
            calls,
            waiting,
            next_id: Arc::default(),
            _reader: Arc::new(Reader(reader.abort_handle())),
        })
    }

    async fn call(&self, Note { number, data }: Note) -> Result<Note, Failure> {
        let (caller, answer) = oneshot::channel();
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        lock(&self.waiting).insert(id, caller);
        let call = wire::Note { number: id, data };
        self.calls.send(call).await.map_err(Failure::library)?;
        let data = answer.await.map_err(Failure::library)?;
        Ok(Note { number, data })
    }
}

/// Nothing panics while it holds one of these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

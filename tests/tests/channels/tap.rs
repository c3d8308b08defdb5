//! A tap between a channel and its server: what goes by, for tests that look at the bytes.

use std::sync::{Arc, Mutex, PoisonError};

use msip_runtime::transport::ServiceUrl;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// Carries connections to a server, and keeps what they carry.
pub(crate) struct Tap {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<u8>>>,
    task: JoinHandle<()>,
}

impl Tap {
    pub(crate) async fn to(server: &ServiceUrl) -> Self {
        let target = server.address().authority().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("tcp://{}", listener.local_addr().expect("an address"));
        let seen = Arc::<Mutex<Vec<u8>>>::default();
        let task = tokio::spawn(carry_all(listener, target, Arc::clone(&seen)));
        Self { url, seen, task }
    }

    /// What has gone by so far, both ways.
    pub(crate) fn seen(&self) -> Vec<u8> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.clone()
    }

    pub(crate) fn has_seen(&self, text: &str) -> bool {
        let text = text.as_bytes();
        self.seen().windows(text.len()).any(|part| part == text)
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry_all(listener: TcpListener, target: String, seen: Arc<Mutex<Vec<u8>>>) {
    let mut carried = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let Ok(server) = TcpStream::connect(&target).await else {
            continue;
        };
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        carried.spawn(carry(from_client, to_server, Arc::clone(&seen)));
        carried.spawn(carry(from_server, to_client, Arc::clone(&seen)));
    }
}

async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    seen: Arc<Mutex<Vec<u8>>>,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(len @ 1..) = from.read(&mut buffer).await {
        let Some(read) = buffer.get(..len) else {
            return;
        };
        seen.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(read);
        if to.write_all(read).await.is_err() {
            return;
        }
    }
    // The other end may have gone.
    let _ = to.shutdown().await;
}

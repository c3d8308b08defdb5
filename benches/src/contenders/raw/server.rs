//! The server: a task per connection, a write per read.

use std::future::poll_fn;

use msip_load::{Failure, Tally};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::frame::{Inbox, RawNote, RawTally, WRITE_LEN, kind, put};

/// Serves until it is dropped.
pub(crate) async fn serve(announce: impl FnOnce(u16)) -> Result<(), Failure> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    announce(listener.local_addr()?.port());
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // What a connection ends with its client tells.
        connections.spawn(connection(stream));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(mut stream: TcpStream) -> Result<(), Failure> {
    let mut inbox = Inbox::new();
    let mut note = RawNote::default();
    let mut out = Vec::new();
    let mut tally = Tally::default();
    while poll_fn(|context| inbox.poll_fill(&mut stream, context)).await? > 0 {
        while let Some(frame) = inbox.next()? {
            match frame.kind {
                kind::ECHO => {
                    note.read(frame.body)?;
                    put(&mut out, kind::ECHO, frame.id, &note);
                }
                kind::NOTE => {
                    note.read(frame.body)?;
                    tally.add(note.number);
                }
                kind::TALLY => {
                    let Tally { count, sum } = tally;
                    put(&mut out, kind::TALLY, frame.id, &RawTally { count, sum });
                }
                other => {
                    return Err(Failure::Protocol(format!("there is no kind {other}")));
                }
            }
            if out.len() >= WRITE_LEN {
                stream.write_all(&out).await?;
                out.clear();
            }
        }
        if !out.is_empty() {
            stream.write_all(&out).await?;
            out.clear();
        }
    }
    Ok(())
}

//! The last that a peer is told, and the end of its connection.

use std::{io, time::Duration};

use msip_runtime::{Status, transport::Stream, untyped::HandedOff};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

use crate::mip::frame::{write_close, write_error};

/// How long, and for how many bytes, a connection that is over is read, so that the last text arrives.
pub(super) const CLOSE_TIME: Duration = Duration::from_secs(1);
const CLOSE_READ_LEN: usize = 64 * 1024;

/// Tells a peer that it may not come in, and closes the connection.
pub(in crate::mip) async fn refuse(mut peer: HandedOff, status: Status) {
    let mut last = Vec::new();
    write_error(&mut last, status.code(), status.message(), 0);
    write_close(&mut last);
    let closing = close(&mut peer.connection.stream, &last);
    // It is over either way.
    let _ = timeout(CLOSE_TIME, closing).await;
}

/// Writes the last bytes, and reads what the peer still sends: else they may be lost with it.
pub(super) async fn close(stream: &mut Stream, last: &[u8]) -> io::Result<()> {
    stream.write_all(last).await?;
    stream.shutdown().await?;
    let mut left = CLOSE_READ_LEN;
    let mut discarded = [0; 1024];
    while left > 0 {
        match stream.read(&mut discarded).await? {
            0 => break,
            len => left = left.saturating_sub(len),
        }
    }
    Ok(())
}

//! The stream around a dialect: what is held back, who is woken, and the time.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Wake,
};

use msip_session::wire::{Flags, FrameType, MsgId, write_ack, write_ping};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

use super::*;

/// Each PING becomes a letter, and each letter a PONG; a `!` is a fault, and a digit says how many letters are wanted. A `?` is answered with many, and a `~` ends the dots. A dot is said
/// every two seconds, and after the third the peer is dead.
#[derive(Debug, Default)]
struct Letters {
    held_up: bool,
    dots: u32,
    beats: bool,
}

fn fault(rule: &str) -> DialectError {
    DialectError {
        dialect: "letters",
        rule: rule.to_owned(),
    }
}

impl Dialect for Letters {
    fn handle_frame(
        &mut self,
        header: &Header,
        payload: &[u8],
        _: Duration,
        output: &mut Output,
    ) -> Result<(), DialectError> {
        match header.frame_type {
            FrameType::Ping => output.to_peer.extend_from_slice(payload),
            FrameType::Ack => self.held_up = false,
            _ => return Err(fault("no such letter")),
        }
        Ok(())
    }

    fn handle_bytes(
        &mut self,
        input: &mut BytesMut,
        _: Duration,
        output: &mut Output,
    ) -> Result<(), DialectError> {
        while !input.is_empty() && !self.held_up {
            match input.split_to(1).as_ref() {
                b"!" => return Err(fault("shouting")),
                b"=" => self.held_up = true,
                b"?" => output.to_peer.extend_from_slice(&[b'?'; 1024]),
                b"~" => self.beats = false,
                letter => write_ping(&mut output.to_session, MsgId::new(1), letter),
            }
        }
        Ok(())
    }

    fn wants_bytes(&self) -> bool {
        !self.held_up
    }

    fn handle_shutdown(&mut self, _: Duration, output: &mut Output) {
        output.to_peer.extend_from_slice(b"bye");
    }

    fn poll_timeout(&self) -> Option<Duration> {
        self.beats.then(|| Duration::from_secs(2) * (self.dots + 1))
    }

    fn handle_timeout(&mut self, now: Duration, output: &mut Output) -> Result<(), DialectError> {
        assert!(now >= Duration::from_secs(2) * (self.dots + 1));
        self.dots += 1;
        if self.dots > 3 {
            return Err(fault("silence"));
        }
        output.to_peer.push(b'.');
        Ok(())
    }
}

fn ping(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    write_ping(&mut frame, MsgId::new(1), payload);
    frame
}

#[tokio::test]
async fn frames_go_out_and_come_in_however_they_are_cut() {
    let (near, mut far) = duplex(3);
    let mut near = DialectStream::new(near, Letters::default());
    let frames = [ping(b"hello "), ping(b"world")].concat();
    let writing = async {
        for byte in &frames {
            near.write_all(&[*byte]).await.unwrap();
            near.flush().await.unwrap();
        }
        near
    };
    let mut heard = [0; 11];
    let (mut near, read) = tokio::join!(writing, far.read_exact(&mut heard));
    read.unwrap();
    assert_eq!(&heard, b"hello world");
    let mut given = vec![0; 2 * ping(b"a").len()];
    far.write_all(b"ab").await.unwrap();
    near.read_exact(&mut given).await.unwrap();
    assert_eq!(given, [ping(b"a"), ping(b"b")].concat());
}

#[tokio::test]
async fn no_more_is_taken_than_64_kib_beyond_what_the_peer_reads() {
    let (near, mut far) = duplex(1);
    let mut near = DialectStream::new(near, Letters::default());
    let frame = ping(&[7; 40_000]);
    near.write_all(&frame).await.unwrap();
    near.write_all(&frame).await.unwrap();
    let mut task = Context::from_waker(Waker::noop());
    let more = Pin::new(&mut near).poll_write(&mut task, &frame);
    assert!(more.is_pending());
    let mut heard = vec![0; 80_000];
    let (flushed, read) = tokio::join!(near.flush(), far.read_exact(&mut heard));
    flushed.unwrap();
    read.unwrap();
    near.write_all(&frame).await.unwrap();
}

#[tokio::test]
async fn the_end_and_the_last_words_are_passed_on() {
    let (near, mut far) = duplex(64);
    let mut near = DialectStream::new(near, Letters::default());
    far.write_all(b"a").await.unwrap();
    far.shutdown().await.unwrap();
    let mut given = Vec::new();
    near.read_to_end(&mut given).await.unwrap();
    assert_eq!(given, ping(b"a"));
    near.shutdown().await.unwrap();
    let mut heard = Vec::new();
    far.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"bye");
}

#[tokio::test]
async fn what_came_before_a_fault_is_given_first() {
    let (near, mut far) = duplex(64);
    let mut near = DialectStream::new(near, Letters::default());
    far.write_all(b"a!b").await.unwrap();
    let mut given = Vec::new();
    let error = near.read_to_end(&mut given).await.unwrap_err();
    assert_eq!(given, ping(b"a"));
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert_eq!(DialectError::of(&error).unwrap().rule, "shouting");
    let mut nothing = Vec::new();
    write_ack(&mut nothing, Flags::NONE, MsgId::new(1));
    near.write_all(&nothing).await.unwrap();
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_reader_is_woken_when_more_is_wanted() {
    let (near, mut far) = duplex(64);
    let mut near = DialectStream::new(near, Letters::default());
    far.write_all(b"=a").await.unwrap();
    let woken = Arc::new(Woken::default());
    let waker = Arc::clone(&woken).into();
    let mut bytes = [0; 64];
    let mut buf = ReadBuf::new(&mut bytes);
    let mut task = Context::from_waker(&waker);
    assert!(
        Pin::new(&mut near)
            .poll_read(&mut task, &mut buf)
            .is_pending()
    );
    let mut more = Vec::new();
    write_ack(&mut more, Flags::NONE, MsgId::new(1));
    near.write_all(&more).await.unwrap();
    assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    assert!(
        Pin::new(&mut near)
            .poll_read(&mut task, &mut buf)
            .is_ready()
    );
    assert_eq!(buf.filled(), ping(b"a"));
}

#[tokio::test(start_paused = true)]
async fn what_is_due_is_done_while_it_reads() {
    let (near, mut far) = duplex(64);
    let dialect = Letters {
        beats: true,
        ..Letters::default()
    };
    let mut near = DialectStream::new(near, dialect);
    let start = Instant::now();
    let mut byte = [0];
    let error = poll_fn(|task| Pin::new(&mut near).poll_read(task, &mut ReadBuf::new(&mut byte)))
        .await
        .unwrap_err();
    assert_eq!(DialectError::of(&error).unwrap().rule, "silence");
    assert_eq!(start.elapsed().as_secs(), 8);
    drop(near);
    let mut heard = Vec::new();
    far.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"...");
}

#[tokio::test]
async fn who_does_not_read_its_answers_is_not_read() {
    let (near, mut far) = duplex(1024);
    let mut near = DialectStream::new(near, Letters::default());
    let mut task = Context::from_waker(Waker::noop());
    let mut bytes = [0; 64];
    let mut written = 0;
    // As much as fits, again and again.
    loop {
        let more = Pin::new(&mut far).poll_write(&mut task, &[b'?'; 16]);
        let Poll::Ready(len) = more else {
            break;
        };
        written += len.unwrap();
        let read = Pin::new(&mut near).poll_read(&mut task, &mut ReadBuf::new(&mut bytes));
        assert!(read.is_pending());
    }
    assert!(near.to_peer.rest().len() < MAX_UNWRITTEN + 1024 * 1024);
    // Once it reads, it is read.
    far.write_all(b"").await.unwrap();
    let mut heard = vec![0; written * 1024];
    let answering =
        poll_fn(|task| Pin::new(&mut near).poll_read(task, &mut ReadBuf::new(&mut bytes)));
    tokio::select! {
        read = far.read_exact(&mut heard) => drop(read.unwrap()),
        read = answering => panic!("{read:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_come_is_read_before_anybody_is_taken_for_dead() {
    let (near, mut far) = duplex(64);
    let dialect = Letters {
        beats: true,
        ..Letters::default()
    };
    let mut near = DialectStream::new(near, dialect);
    far.write_all(b"~a").await.unwrap();
    // The task that reads did not run.
    tokio::time::advance(Duration::from_secs(60)).await;
    let mut given = vec![0; ping(b"a").len()];
    near.read_exact(&mut given).await.unwrap();
    assert_eq!(given, ping(b"a"));
    drop(near);
    let mut heard = Vec::new();
    far.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"");
}

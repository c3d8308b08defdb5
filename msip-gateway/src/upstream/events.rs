//! What a server says on its own: a log of one session, which its event streams read.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use msip_runtime::Status;
use tokio::sync::watch;

/// How many events a session keeps, for readers that are behind or come back.
const MAX_EVENTS: usize = 256;

/// How many bytes they may have together.
const MAX_BYTES: usize = 256 * 1024;

/// Something that a server has said on its own.
#[derive(Debug, Clone)]
pub(crate) struct ServerEvent {
    /// The number of its member.
    pub(crate) number: u16,
    /// The envelope in protobuf; empty where a STATE was cleared.
    pub(crate) body: Bytes,
}

/// The last events of a session.
pub(super) struct EventLog {
    /// Distinguishes the numbers of this session from those of another.
    epoch: u64,
    log: Mutex<Log>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct Log {
    /// The number of the next one; the first is 1.
    next: u64,
    kept: VecDeque<Kept>,
    bytes: usize,
    ended: Option<Status>,
}

#[derive(Clone)]
enum Kept {
    Event(Arc<ServerEvent>),
    /// The session with the server was lost, and what it said meanwhile.
    Lost,
}

impl Kept {
    fn len(&self) -> usize {
        match self {
            Self::Event(event) => event.body.len(),
            Self::Lost => 0,
        }
    }
}

/// What a reader gets next.
#[derive(Debug, Clone)]
pub(crate) enum NextEvent {
    /// An event, and its id.
    Event(String, Arc<ServerEvent>),
    /// What the server has said meanwhile is lost.
    Lost(String),
    /// Nothing more comes.
    Ended(Status),
}

/// One reader of a session's events. It does not hold the others up: one that is behind by more than the session keeps is
/// ended with `RESOURCE_EXHAUSTED`.
pub(crate) struct EventReader {
    log: Arc<EventLog>,
    changed: watch::Receiver<()>,
    next: u64,
    is_lost: bool,
}

impl EventLog {
    pub(super) fn new(epoch: u64) -> Arc<Self> {
        let log = Log {
            next: 1,
            ..Log::default()
        };
        Arc::new(Self {
            epoch,
            log: Mutex::new(log),
            changed: watch::Sender::new(()),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anybody reads.
    pub(super) fn has_readers(&self) -> bool {
        self.changed.receiver_count() > 0
    }

    pub(super) fn push(&self, event: ServerEvent) {
        self.keep(Kept::Event(Arc::new(event)));
    }

    /// The session with the server was lost.
    pub(super) fn lost(&self) {
        self.keep(Kept::Lost);
    }

    fn keep(&self, event: Kept) {
        let mut log = self.lock();
        log.bytes += event.len();
        log.kept.push_back(event);
        while log.kept.len() > MAX_EVENTS || (log.bytes > MAX_BYTES && log.kept.len() > 1) {
            if let Some(oldest) = log.kept.pop_front() {
                log.bytes -= oldest.len();
            }
        }
        log.next += 1;
        drop(log);
        self.changed.send_replace(());
    }

    /// Ends all readers once they have read what there is.
    pub(super) fn end(&self, status: Status) {
        self.lock().ended.get_or_insert(status);
        self.changed.send_replace(());
    }

    /// A reader of what comes from here on, or after the event of this id.
    pub(super) fn read(self: &Arc<Self>, last: Option<&str>) -> EventReader {
        let changed = self.changed.subscribe();
        let log = self.lock();
        let (next, is_lost) = match last.map(|last| self.after(last, &log)) {
            None => (log.next, false),
            Some(Some(next)) => (next, false),
            Some(None) => (log.next, true),
        };
        drop(log);
        EventReader {
            log: Arc::clone(self),
            changed,
            next,
            is_lost,
        }
    }

    /// The number after that of an id; `None` where what follows it is not kept.
    fn after(&self, id: &str, log: &Log) -> Option<u64> {
        let (epoch, number) = id.split_once('-')?;
        if u64::from_str_radix(epoch, 16).ok()? != self.epoch {
            return None;
        }
        let next = number.parse::<u64>().ok()?.checked_add(1)?;
        (log.first()..=log.next).contains(&next).then_some(next)
    }

    fn id(&self, number: u64) -> String {
        format!("{:x}-{number}", self.epoch)
    }
}

impl Log {
    /// The number of the oldest that is kept.
    fn first(&self) -> u64 {
        self.next - self.kept.len() as u64
    }
}

impl EventReader {
    /// What comes next. Nothing comes after [`NextEvent::Ended`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> NextEvent {
        loop {
            // Before it is looked at, so that nothing is missed.
            self.changed.mark_unchanged();
            if let Some(next) = self.take() {
                return next;
            }
            // The sender is in the log, which we hold.
            let _ = self.changed.changed().await;
        }
    }

    fn take(&mut self) -> Option<NextEvent> {
        let log = self.log.lock();
        if std::mem::take(&mut self.is_lost) {
            return Some(NextEvent::Lost(self.log.id(self.next - 1)));
        }
        let Some(behind) = self.next.checked_sub(log.first()) else {
            return Some(NextEvent::Ended(Status::resource_exhausted(
                "slow consumer: more events wait than are kept",
            )));
        };
        let kept = usize::try_from(behind)
            .ok()
            .and_then(|index| log.kept.get(index));
        let Some(kept) = kept else {
            return log.ended.clone().map(NextEvent::Ended);
        };
        let id = self.log.id(self.next);
        let next = match kept {
            Kept::Event(event) => NextEvent::Event(id, Arc::clone(event)),
            Kept::Lost => NextEvent::Lost(id),
        };
        drop(log);
        self.next += 1;
        Some(next)
    }
}

impl fmt::Debug for EventReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventReader")
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for EventLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLog").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: u16, len: usize) -> ServerEvent {
        ServerEvent {
            number,
            body: vec![0; len].into(),
        }
    }

    async fn told(reader: &mut EventReader) -> String {
        match reader.next().await {
            NextEvent::Event(id, event) => format!("{id}: {}", event.number),
            NextEvent::Lost(id) => format!("{id}: lost"),
            NextEvent::Ended(status) => status.to_string(),
        }
    }

    #[tokio::test]
    async fn a_reader_gets_what_follows_and_comes_back_where_it_was() {
        let log = EventLog::new(0xab);
        log.push(event(1, 0));
        assert!(!log.has_readers());
        let mut reader = log.read(None);
        assert!(log.has_readers());
        log.push(event(2, 0));
        log.push(event(3, 0));
        assert_eq!(told(&mut reader).await, "ab-2: 2");
        drop(reader);
        let mut again = log.read(Some("ab-2"));
        assert_eq!(told(&mut again).await, "ab-3: 3");
        log.lost();
        assert_eq!(told(&mut again).await, "ab-4: lost");
        for unknown in ["ac-2", "ab-9", "ab-18446744073709551615", "ab", "", "ab--1"] {
            let mut reader = log.read(Some(unknown));
            assert_eq!(told(&mut reader).await, "ab-4: lost", "{unknown}");
        }
        log.end(Status::unavailable("gone"));
        assert!(told(&mut again).await.contains("gone"));
    }

    #[tokio::test]
    async fn a_slow_reader_is_ended_and_what_is_kept_is_bounded() {
        let log = EventLog::new(1);
        let mut slow = log.read(None);
        for _ in 0..=MAX_EVENTS {
            log.push(event(1, 10));
        }
        assert!(told(&mut slow).await.contains("slow consumer"));
        assert_eq!(log.lock().kept.len(), MAX_EVENTS);
        for _ in 0..10 {
            log.push(event(1, MAX_BYTES / 2));
        }
        assert_eq!(log.lock().kept.len(), 2);
        // One that is larger than all is delivered to who is there.
        let mut reader = log.read(None);
        log.push(event(7, 2 * MAX_BYTES));
        assert!(told(&mut reader).await.ends_with(": 7"));
    }

    #[tokio::test]
    async fn a_reader_that_waits_is_woken() {
        let log = EventLog::new(1);
        let mut reader = log.read(None);
        let waiting = tokio::spawn(async move { told(&mut reader).await });
        tokio::task::yield_now().await;
        log.push(event(5, 0));
        assert_eq!(waiting.await.unwrap(), "1-1: 5");
    }
}

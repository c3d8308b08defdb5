//! What is due at a time, and when to look again.

use std::time::Duration;

use super::{Phase, Session, Token, keepalive::Due, request::Priority};
use crate::wire::write_ping;

/// Which time limit has ended a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum TimedOut {
    /// The handshake was not completed.
    Handshake,
    /// No byte came for so long.
    Silence(Duration),
    /// What was open when the session was closed did not finish.
    Drain,
}

impl Session {
    /// When to call [`handle_timeout`](Self::handle_timeout), at the latest.
    #[inline]
    pub fn poll_timeout(&self) -> Duration {
        match self.phase {
            Phase::Open => {
                let mut next = self.keepalive.poll_timeout();
                if let Some(deadline) = self.outbound.poll_timeout() {
                    next = next.min(deadline);
                }
                if let Some(pacer) = &self.cancel_pacer {
                    next = next.min(pacer.poll_timeout());
                }
                if self.drain.is_some() || self.streams.relief.is_on() {
                    next = next.min(self.poll_rare_timeout());
                }
                next
            }
            Phase::Suspended => self.outbound.poll_timeout().unwrap_or(Duration::MAX),
            Phase::Over => Duration::MAX,
            _ => self.handshake_deadline,
        }
    }

    /// The same for what most sessions never wait for.
    #[cold]
    fn poll_rare_timeout(&self) -> Duration {
        let drain = self.drain.as_ref().map(|drain| drain.poll_timeout());
        drain.map_or(self.streams.relief.poll_timeout(), |drain| {
            drain.min(self.streams.relief.poll_timeout())
        })
    }

    /// Does what is due at `now`, and adds the exchanges that have timed out to `expired`. Where the session is closing,
    /// [`end_streams`](Self::end_streams) goes first.
    ///
    /// # Errors
    ///
    /// [`TimedOut`] where the connection is over: pass it to [`suspend`](Self::suspend) or [`lost`](Self::lost).
    pub fn handle_timeout(
        &mut self,
        now: Duration,
        expired: &mut Vec<Token>,
    ) -> Result<(), TimedOut> {
        match self.phase {
            Phase::Over => return Ok(()),
            Phase::Suspended => {
                for slot in self.outbound.expire(now, &mut self.streams, expired) {
                    self.expire_call(slot);
                }
                return Ok(());
            }
            Phase::Open => {}
            _ if now >= self.handshake_deadline => return Err(TimedOut::Handshake),
            _ => return Ok(()),
        }
        for slot in self.outbound.expire(now, &mut self.streams, expired) {
            self.expire_call(slot);
        }
        self.send_cancels(now);
        self.handle_drain_timeout(now)?;
        self.relieve(now);
        match self.keepalive.handle_timeout(now) {
            Due::Nothing => Ok(()),
            Due::Dead { silence } => Err(TimedOut::Silence(silence)),
            Due::Ping => {
                let id = self.outbound.next_id();
                self.outgoing
                    .push(Priority::Urgent, |buffer| write_ping(buffer, id, &[]));
                self.keepalive.pinged(id, now);
                Ok(())
            }
        }
    }
}

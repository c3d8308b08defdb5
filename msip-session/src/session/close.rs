//! Closing: the graceful close of a session, and its end by a fault (docs/protocol.md, "Errors and close").

use std::time::Duration;

use super::{Fault, FaultKind, Phase, Session, request::Priority};
use crate::wire::{Code, Flags, write_close, write_error};

impl Session {
    /// Opens and accepts nothing new from here on; open exchanges may finish within the drain timeout.
    ///
    /// CLOSE is sent behind everything that waits for capacity. A session without a connection just ends.
    pub fn begin_close(&mut self, code: Code, message: &str, now: Duration) {
        if self.phase == Phase::Suspended {
            // There is no connection to send CLOSE on.
            self.is_close_begun = true;
        }
        if self.is_close_begun || self.phase != Phase::Open {
            return;
        }
        self.is_close_begun = true;
        self.start_draining(now);
        self.pending_close = Some((code, message.to_owned()));
        if !self.is_waiting() {
            self.send_close();
        }
    }

    /// Sends CLOSE, after which nothing new is sent.
    pub(super) fn send_close(&mut self) {
        if let Some((code, message)) = self.pending_close.take() {
            self.outgoing.push(Priority::Normal, |buffer| {
                write_close(buffer, code, &message);
            });
        }
    }

    pub(super) fn start_draining(&mut self, now: Duration) {
        let deadline = now.saturating_add(self.config.drain_timeout);
        self.drain_deadline = Some(
            self.drain_deadline
                .map_or(deadline, |earlier| earlier.min(deadline)),
        );
    }

    /// Whether either side has said that it opens nothing new.
    #[inline]
    pub fn is_closing(&self) -> bool {
        self.is_close_begun || self.is_close_received
    }

    /// Whether the session is closing, and nothing is left to do but to close the transport.
    pub fn is_finished(&self) -> bool {
        match self.phase {
            Phase::Over => self.outgoing.is_empty(),
            Phase::Suspended => self.is_closing() || self.is_overflowing(),
            Phase::Open => {
                self.is_closing()
                    && self.outbound.is_idle()
                    && self.inbound.is_idle()
                    && !self.is_waiting()
                    && self.outgoing.is_empty()
            }
            _ => false,
        }
    }

    /// Ends the session with a fault of the peer, and queues the ERROR and CLOSE that report it. Everything else that was queued
    /// is dropped.
    pub fn handle_fault(&mut self, fault: &Fault) {
        let was_open = self.phase == Phase::Open;
        self.phase = Phase::Over;
        self.outgoing.clear();
        if fault.kind == FaultKind::MipPeer {
            return;
        }
        self.outgoing.push(Priority::Urgent, |buffer| {
            write_error(buffer, Flags::NONE, fault.id, fault.code, &fault.rule);
        });
        if was_open && fault.kind != FaultKind::Foreign {
            self.outgoing.push(Priority::Urgent, |buffer| {
                write_close(buffer, fault.code, &fault.rule);
            });
        }
    }
}

//! The exchange table: the exchanges that this side has opened, by their tokens, and where the outcome of each goes.

use std::sync::Arc;

use slab::Slab;

use super::{
    fault_injection::FaultInjection,
    recv_buffer::RecvBuffer,
    relayed_call::{BegunStream, Relay, RelayEnd, RelayTarget},
    reply_slot::ReplySlot,
    wake_list::WakeList,
};
use crate::body::Encoding;
use msip_session::{Outcome, Slot, StreamSide, Token};

/// For the ends of so many relayed calls there is memory at once: a driver handles as many frames under one lock.
const RELAYS_AT_ONCE: usize = 64;

/// An exchange that a caller waits for.
#[derive(Debug)]
enum OpenExchange {
    /// With one outcome.
    Unary { slot: Slot, reply: Arc<ReplySlot> },
    /// The same, and it ends with its connection, rather than wait for the next.
    FailFast { slot: Slot, reply: Arc<ReplySlot> },
    /// Its answer is a stream.
    Streaming {
        slot: Slot,
        recv_buffer: Arc<RecvBuffer>,
    },
    /// Its outcome answers a call of another connection's peer. It becomes a stream if items come.
    Relayed {
        slot: Slot,
        number: u64,
        target: Box<dyn RelayTarget>,
    },
    /// Nobody here waits for its outcome.
    Unattended { slot: Slot },
    /// The stream is complete; what was not read of it is in its buffer.
    Ended,
}

/// The exchanges that are open, or whose streams are not read to their end. The session's limits bound it.
#[derive(Debug, Default)]
pub(super) struct ExchangeTable {
    rows: Slab<OpenExchange>,
    /// How many exchanges have ended for a caller that waits.
    completed: u64,
    /// How many calls were relayed.
    relayed: u64,
}

/// A free row, claimed for the exchange that is about to be opened.
pub(super) struct VacantExchange<'a>(slab::VacantEntry<'a, OpenExchange>);

/// An exchange that was just opened.
#[derive(Debug)]
pub(super) struct OpenedExchange {
    pub(super) token: Token,
    pub(super) reply: Arc<ReplySlot>,
}

impl VacantExchange<'_> {
    pub(super) fn token(&self) -> Token {
        Token::new(self.0.key())
    }

    /// The exchange is open, and its outcome goes to `reply`.
    #[inline]
    pub(super) fn insert_unary(self, slot: Slot, reply: Arc<ReplySlot>) -> OpenedExchange {
        let token = self.token();
        self.0.insert(OpenExchange::Unary {
            slot,
            reply: Arc::clone(&reply),
        });
        OpenedExchange { token, reply }
    }

    /// The exchange is open, and nobody waits for its outcome.
    pub(super) fn insert_unattended(self, slot: Slot) {
        self.0.insert(OpenExchange::Unattended { slot });
    }

    /// The exchange is open, and its outcome goes to `target`, who knows it by this number.
    pub(super) fn insert_relayed(self, slot: Slot, number: u64, target: Box<dyn RelayTarget>) {
        self.0.insert(OpenExchange::Relayed {
            slot,
            number,
            target,
        });
    }

    /// The exchange is open, and the items of its answer go to `recv_buffer`.
    pub(super) fn insert_streaming(self, slot: Slot, recv_buffer: Arc<RecvBuffer>) -> Token {
        recv_buffer.open(StreamSide::Caller(slot));
        let token = self.token();
        self.0.insert(OpenExchange::Streaming { slot, recv_buffer });
        token
    }
}

impl ExchangeTable {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// How many exchanges have ended for a caller that waits.
    pub(super) fn completed(&self) -> u64 {
        self.completed
    }

    /// The number of the next call that is relayed.
    pub(super) fn next_relayed(&mut self) -> u64 {
        self.relayed += 1;
        self.relayed
    }

    /// The outcome of the exchange that was just opened under this number goes to `target`.
    pub(super) fn relay(&mut self, token: Token, number: u64, target: Box<dyn RelayTarget>) {
        if let Some(row) = self.rows.get_mut(token.index())
            && let &mut OpenExchange::Unattended { slot } = row
        {
            *row = OpenExchange::Relayed {
                slot,
                number,
                target,
            };
        }
    }

    #[inline]
    pub(super) fn vacant_entry(&mut self) -> VacantExchange<'_> {
        VacantExchange(self.rows.vacant_entry())
    }

    /// An exchange has ended. Returns the request stream whose sender, if there is one, is to look again.
    #[inline]
    pub(super) fn complete(
        &mut self,
        token: Token,
        outcome: Outcome,
        encoding: &Encoding,
        wakes: &mut WakeList,
        relays: &mut Vec<Relay>,
    ) -> Option<StreamSide> {
        match self.rows.get_mut(token.index())? {
            OpenExchange::Unary { reply, .. } | OpenExchange::FailFast { reply, .. } => {
                reply.fill(outcome, encoding.clone(), wakes);
                self.rows.remove(token.index());
                self.completed += 1;
                None
            }
            row @ OpenExchange::Streaming { .. } => {
                let OpenExchange::Streaming { recv_buffer, slot } =
                    std::mem::replace(row, OpenExchange::Ended)
                else {
                    return None;
                };
                recv_buffer.close(outcome, wakes);
                Some(StreamSide::Caller(slot))
            }
            OpenExchange::Relayed { .. } => {
                if let OpenExchange::Relayed { target, .. } = self.rows.remove(token.index()) {
                    if relays.is_empty() {
                        // Those that are read together likely end together.
                        relays.reserve((self.rows.len() + 1).min(RELAYS_AT_ONCE));
                    }
                    let end = RelayEnd::Outcome(outcome, encoding.clone());
                    relays.push(Relay::Ended(target, end));
                }
                None
            }
            OpenExchange::Unattended { .. } => {
                self.rows.remove(token.index());
                None
            }
            OpenExchange::Ended => None,
        }
    }

    /// Takes a relayed call out that is open, unless its answers are a stream. Returns its slot at the session, and what waits for
    /// its outcome.
    pub(super) fn take_relayed(
        &mut self,
        token: Token,
        number: u64,
    ) -> Option<(Slot, Box<dyn RelayTarget>)> {
        match self.rows.get(token.index())? {
            OpenExchange::Relayed { number: known, .. }
                if *known == number || FaultInjection::GiveUpRelayedByToken.is_on() => {}
            _ => return None,
        }
        match self.rows.try_remove(token.index())? {
            OpenExchange::Relayed { slot, target, .. } => Some((slot, target)),
            _ => None,
        }
    }

    /// A relayed call that is open: its slot at the session, and what waits for its outcome.
    pub(super) fn relayed_mut(&mut self, token: Token) -> Option<(Slot, &mut dyn RelayTarget)> {
        match self.rows.get_mut(token.index())? {
            OpenExchange::Relayed { slot, target, .. } => Some((*slot, &mut **target)),
            _ => None,
        }
    }

    /// The slot of an exchange at the session, while it is open.
    pub(super) fn slot(&self, token: Token) -> Option<Slot> {
        match self.rows.get(token.index())? {
            OpenExchange::Unary { slot, .. }
            | OpenExchange::FailFast { slot, .. }
            | OpenExchange::Unattended { slot }
            | OpenExchange::Relayed { slot, .. }
            | OpenExchange::Streaming { slot, .. } => Some(*slot),
            OpenExchange::Ended => None,
        }
    }

    /// Items come for a relayed call: what waits for its outcome is handed a stream.
    #[inline(never)]
    fn begin_stream(&mut self, token: Token, encoding: &Encoding, relays: &mut Vec<Relay>) {
        let Some(row) = self.rows.get_mut(token.index()) else {
            return;
        };
        let &mut OpenExchange::Relayed { slot, .. } = row else {
            return;
        };
        let recv_buffer = Arc::new(RecvBuffer::default());
        recv_buffer.open(StreamSide::Caller(slot));
        let begun = BegunStream {
            token,
            recv_buffer: Arc::clone(&recv_buffer),
            encoding: encoding.clone(),
        };
        let streaming = OpenExchange::Streaming { slot, recv_buffer };
        if let OpenExchange::Relayed { target, .. } = std::mem::replace(row, streaming) {
            relays.push(Relay::Ended(target, RelayEnd::Stream(begun)));
        }
    }

    /// Where items go that have come.
    pub(super) fn recv_buffer_for_items(
        &mut self,
        token: Token,
        encoding: &Encoding,
        relays: &mut Vec<Relay>,
    ) -> Option<&Arc<RecvBuffer>> {
        if let OpenExchange::Relayed { .. } = self.rows.get(token.index())? {
            self.begin_stream(token, encoding, relays);
        }
        self.recv_buffer(token)
    }

    /// Whether an exchange that was just opened ends with its connection.
    pub(super) fn set_fail_fast(&mut self, token: Token, is_fail_fast: bool) {
        if is_fail_fast
            && let Some(exchange) = self.rows.get_mut(token.index())
            && let OpenExchange::Unary { slot, reply } = exchange
        {
            let (slot, reply) = (*slot, Arc::clone(reply));
            *exchange = OpenExchange::FailFast { slot, reply };
        }
    }

    /// The exchanges that end with their connection, and their slots at the session.
    pub(super) fn failing_fast(&self) -> Vec<(Token, Slot)> {
        let ends = |(index, exchange): (usize, &OpenExchange)| match exchange {
            OpenExchange::FailFast { slot, .. } => Some((Token::new(index), *slot)),
            _ => None,
        };
        self.rows.iter().filter_map(ends).collect()
    }

    /// Where the answers to a call go, while they come.
    pub(super) fn recv_buffer(&self, token: Token) -> Option<&Arc<RecvBuffer>> {
        match self.rows.get(token.index())? {
            OpenExchange::Streaming { recv_buffer, .. } => Some(recv_buffer),
            _ => None,
        }
    }

    /// Takes an exchange out. Returns its slot at the session, while it is open.
    pub(super) fn remove(&mut self, token: Token) -> Option<Slot> {
        let slot = self.slot(token);
        self.rows.try_remove(token.index())?;
        slot
    }

    /// Gives back the memory that a burst needed.
    pub(super) fn release(&mut self) {
        self.rows.shrink_to_fit();
    }
}

//! The MSIP wire format and session as plain values: bytes and times in, frames and events out.

mod budget;
mod dropped;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod session;
pub mod wire;

pub use budget::{Budget, Evict, MemoryUse};
pub use dropped::Dropped;
pub use msip_schema::MsgKind;
pub use session::{
    BareMessage, Batch, Blocked, Busy, CallShape, Class, Config, CreditBatcher, Event, FastFrame,
    Fault, FaultKind, InboundSlot, Incoming, Item, ItemBatch, ItemHead, ItemTarget, Lost, Outcome,
    PeerTerms, Reply, ReplyTo, RequestHead, Session, Slot, StateKey, StreamSide, Suspended,
    TimedOut, Token, Transmit, first_frame, is_droppable, is_resumed,
};

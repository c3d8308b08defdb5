//! The MSIP wire format and session as plain values: bytes and times in, frames and events out.

mod budget;
mod dropped;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod session;
pub mod wire;

pub use budget::{Budget, End, FLOOR, MemoryUse, OF_PROCESS, STEP, Share};
pub use dropped::Dropped;
pub use msip_schema::MsgKind;
pub use session::{
    Agreed, BareMessage, Batch, Blocked, Busy, Class, Config, CreditBatcher, Event, FastFrame,
    Fault, FaultKind, InboundSlot, Incoming, Inlet, Item, ItemBatch, ItemHead, Lost, Outcome,
    Priority, Reply, ReplyTo, RequestHead, Session, Shape, Slot, StateKey, StreamSide, Suspended,
    TimedOut, Token, Transmit, first_frame, goes_on, is_droppable,
};

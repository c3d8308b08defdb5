//! Fault injection: deliberate faults, to show that the tests of interleavings find them.
//!
//! A test switches one on for its own thread. Without `--cfg shuttle` each question here is a constant `false`.

#[cfg(shuttle)]
use std::cell::Cell;

/// A fault that can be switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultInjection {
    /// Whether a reply is there is asked under one lock, and the waker stored under another.
    StoreReplyWakerLate,
    /// A call that is given up is taken out of the table although it may have ended, and its token be another's.
    GiveUpWithoutLooking,
    /// A sender that leaves the queue for capacity when it was its turn wakes no other in its place.
    LeaveWithoutWaking,
    /// Where the session closes, the waiters for capacity are not woken to learn that there will be none.
    CloseSilently,
    /// The driver sleeps without looking whether something was sent since it last wrote.
    SleepWithoutLooking,
    /// A call joins the queue without waking the driver, which then sleeps through its deadline.
    JoinWithoutDriver,
    /// No message is woken where the peer grants credit.
    IgnoreCredit,
    /// A call that runs out of time ends without waking its caller.
    ExpireSilently,
    /// A session ends without ending its exchanges for their callers.
    LoseSilently,
    /// The session drains, and those who wait for that are not woken.
    DrainSilently,
    /// Whether something is in an inbox is asked under one lock, and the waker of its reader stored under another.
    StoreReaderLate,
    /// What the endpoints of a connection ask for is taken under one lock, and the waker of its task stored under another.
    StoreTaskLate,
    /// Where a call was relayed to is kept without looking whether it was given up meanwhile.
    RelayWithoutLooking,
    /// A relayed call that is given up is taken out by its token alone, which may be another's.
    GiveUpRelayedByToken,
    /// Whether a call that was given up counts at the peer still is asked under one lock, and its permit kept under another.
    KeepPermitLate,
}

#[cfg(shuttle)]
thread_local! {
    static ON: Cell<Option<FaultInjection>> = const { Cell::new(None) };
}

impl FaultInjection {
    /// Switches a fault on for what this thread does next, or all off.
    #[cfg(all(test, shuttle))]
    pub(crate) fn switch_on(fault: Option<Self>) {
        ON.set(fault);
    }

    #[cfg(shuttle)]
    pub(crate) fn is_on(self) -> bool {
        ON.get() == Some(self)
    }

    #[cfg(not(shuttle))]
    #[inline]
    pub(crate) const fn is_on(self) -> bool {
        let _ = self;
        false
    }
}

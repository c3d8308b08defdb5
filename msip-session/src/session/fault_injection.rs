//! Fault injection: deliberate faults, to show that the simulation finds them.
//!
//! A test switches one on for its own thread. In any other build each question here is a constant `false`.

/// A fault that can be switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FaultInjection {
    /// Every delivery counts as new.
    SkipDedup,
    /// A duplicate is acknowledged while the handler of its original still runs.
    AcknowledgeWhileHandling,
    /// The ids of calls move the window of deliveries too.
    WindowOverAllIds,
    /// A call that was handed to the transport is sent again.
    ResendCall,
    /// Credit is granted twice.
    GrantTwice,
    /// Credit for messages of an earlier connection is granted on a later one.
    GrantAcrossConnections,
    /// A call is closed when the connection is lost, and its waiter is not notified.
    ForgetWaiter,
    /// A call that was not sent before the loss is not sent after it.
    ForgetUnsentCall,
    /// Deliveries are sent again from the newest to the oldest.
    ResendBackwards,
    /// Only deliveries after the last answered one are sent again.
    ResendFromLastSeen,
    /// New messages are sent before those that are sent again.
    OvertakeResend,
    /// Messages that are sent again need no credit.
    ResendWithoutCredit,
    /// A call whose reply is lost is answered as not received.
    DenyReceipt,
    /// Awaited calls are not answered after a resume.
    IgnoreAwaited,
    /// A kept reply is lost.
    LoseKeptReply,
    /// A failed delivery is acknowledged when it comes again.
    AcknowledgeFailed,
    /// A new session of the server is taken for the one before it.
    TrustResumed,
    /// A LOG that finds no capacity is dropped instead of an older one.
    DropNewest,
    /// A STATE is dropped while an older one of its key waits.
    LoseNewestState,
    /// A CANCEL is sent before the opening frame, which is still queued.
    CancelOvertakes,
    /// The CANCEL of a call is not sent.
    ForgetCancel,
    /// A call that was given up counts no longer, though it has not ended at the peer.
    FreeCancelled,
    /// The end of a call that was cancelled is not said.
    EndSilently,
    /// Credit does not come back with time.
    ForgetTime,
    /// Credit of a stream is granted twice.
    GrantStreamTwice,
    /// Items are sent without credit.
    SpendWithoutCredit,
    /// The item that takes the last of a stream's credit is lost.
    LoseLastOfCredit,
    /// The end of a stream of requests is not sent.
    ForgetStreamEnd,
    /// The end of a stream of answers is sent before its last items.
    EndOvertakesItems,
    /// A stream continues after its connection is lost.
    StreamSurvives,
    /// A stream that has ended stays in the table.
    KeepEndedStreams,
    /// Credit for a stream that is not open counts for the connection.
    CreditForClosedStream,
    /// An answer ends any exchange that has the slot of its own.
    AnswerAnyExchange,
    /// Handlers begin however many answers the peer leaves unread.
    IgnoreBacklog,
    /// A session that was parked does not know how the peer's deliveries have ended.
    ForgetParkedDeliveries,
    /// A session that was parked does not know how the peer's calls have ended.
    ForgetParkedCalls,
    /// A session that was parked uses its ids again.
    RepeatParkedIds,
    /// A session that was silent does not know which credit there was.
    ForgetIdleCredit,
    /// A SUBSCRIBE that is unanswered when the connection is lost is not sent again.
    ForgetSubscribe,
    /// It is sent again after the messages.
    SubscribeLast,
    /// A datagram takes credit.
    SpendForDatagram,
    /// A message that came by a datagram gives credit back.
    GrantForDatagram,
    /// A datagram is given to the lane again.
    RepeatDatagram,
    /// A datagram that waits is sent on the next connection.
    KeepDatagrams,
    /// A datagram that is dropped from the queue is not counted.
    ForgetDroppedDatagram,
    /// Nothing is read while a handler waits for an answer; the simulation's own driver has this fault.
    #[cfg(any(test, fuzzing))]
    StopReading,
    /// Requests wait unread also where nothing can be written; the same.
    #[cfg(any(test, fuzzing))]
    NeverReadOn,
}

#[cfg(test)]
impl FaultInjection {
    /// All of them.
    pub(super) const ALL: [Self; 47] = [
        Self::SkipDedup,
        Self::AcknowledgeWhileHandling,
        Self::WindowOverAllIds,
        Self::ResendCall,
        Self::GrantTwice,
        Self::GrantAcrossConnections,
        Self::ForgetWaiter,
        Self::ForgetUnsentCall,
        Self::ResendBackwards,
        Self::ResendFromLastSeen,
        Self::OvertakeResend,
        Self::ResendWithoutCredit,
        Self::DenyReceipt,
        Self::IgnoreAwaited,
        Self::LoseKeptReply,
        Self::AcknowledgeFailed,
        Self::TrustResumed,
        Self::DropNewest,
        Self::LoseNewestState,
        Self::CancelOvertakes,
        Self::ForgetCancel,
        Self::FreeCancelled,
        Self::EndSilently,
        Self::ForgetTime,
        Self::GrantStreamTwice,
        Self::SpendWithoutCredit,
        Self::LoseLastOfCredit,
        Self::ForgetStreamEnd,
        Self::EndOvertakesItems,
        Self::StreamSurvives,
        Self::KeepEndedStreams,
        Self::CreditForClosedStream,
        Self::AnswerAnyExchange,
        Self::IgnoreBacklog,
        Self::ForgetParkedDeliveries,
        Self::ForgetParkedCalls,
        Self::RepeatParkedIds,
        Self::ForgetIdleCredit,
        Self::ForgetSubscribe,
        Self::SubscribeLast,
        Self::SpendForDatagram,
        Self::GrantForDatagram,
        Self::RepeatDatagram,
        Self::KeepDatagrams,
        Self::ForgetDroppedDatagram,
        Self::StopReading,
        Self::NeverReadOn,
    ];
}

#[cfg(test)]
mod switch {
    use std::cell::Cell;

    use super::FaultInjection;

    thread_local! {
        static SWITCHED_ON: Cell<Option<FaultInjection>> = const { Cell::new(None) };
    }

    impl FaultInjection {
        /// Whether the fault is on.
        pub(in crate::session) fn is_on(self) -> bool {
            SWITCHED_ON.get() == Some(self)
        }

        /// Switches to this fault, or to none, on this thread.
        pub(in crate::session) fn switch(to: Option<Self>) {
            SWITCHED_ON.set(to);
        }
    }
}

#[cfg(not(test))]
impl FaultInjection {
    /// Whether the fault is on: never.
    #[expect(
        clippy::unused_self,
        reason = "the same signature as where faults can be on"
    )]
    pub(super) const fn is_on(self) -> bool {
        false
    }
}

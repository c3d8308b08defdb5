//! Fault injection: deliberate faults, to show that the simulation finds them.
//!
//! A test switches one on for its own thread. In any other build each question here is a constant `false`.

/// A fault that can be switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FaultInjection {
    /// Publishers use the routes that they know, whatever has changed.
    OldRoutes,
    /// A session gets a message once for each of its filters that match.
    DeliverTwice,
    /// A session resumes with what it had, whatever it may do now.
    TrustResumed,
    /// What was queued before a right was withdrawn is delivered.
    KeepQueued,
    /// Grants outlive the session that gave them.
    KeepGrants,
    /// What a service enabled is available while it is away.
    IgnoreAway,
    /// A grant overrides a deny.
    GrantOverDeny,
    /// Services enable what they may not serve.
    GrantAnything,
    /// A STATE is not kept.
    ForgetKept,
    /// What was cleared stays kept.
    KeepCleared,
    /// More STATEs are kept than may be.
    KeepAll,
    /// A STATE waits beside an older one of its key.
    QueueEachState,
    /// The newest LOG is dropped instead of the oldest.
    DropNewest,
    /// LOG and METRIC take all the place there is.
    LogWithoutLimit,
    /// A message for which there is no place is dropped, and the session goes on.
    DropSilently,
    /// What nobody waits for is kept for sessions that are away.
    KeepUnacknowledged,
    /// What was acknowledged is dropped when the connection is lost.
    LoseAcknowledged,
    /// Messages are delivered after they have expired.
    DeliverExpired,
    /// Urgent messages go first as long as there are any.
    UrgentAlways,
    /// Sessions that are away do not end.
    NeverExpire,
    /// It is the first member's turn.
    FirstMember,
    /// Members that are away are chosen like others.
    ChooseAway,
    /// All members of a group hear a message.
    AllOfGroup,
    /// Calls are not counted.
    ForgetOpenCalls,
    /// Calls that ended without an answer are forgotten.
    ForgetUnanswered,
    /// What a session had not taken when it went is lost.
    LoseLeft,
    /// What has failed is given to another though it may have run.
    RepeatAnything,
    /// It is given to the one that has failed.
    RepeatToSame,
    /// What nobody could handle is dropped.
    ForgetTheDead,
    /// COMMANDs go to whoever hears the topic.
    CommandToClients,
    /// Publishers wait for those who take nothing.
    WaitForStuck,
    /// STATEs are kept after they have expired.
    KeepExpired,
    /// A STATE is sent by the route that its publisher knew before it was kept.
    KeepByOldRoute,
    /// An outbox takes what was routed before the rights of its session changed.
    TakeByOldRights,
    /// An instance is not introduced to a client.
    NoIntroduction,
    /// An instance is not told that a client has gone.
    ForgetGone,
    /// A client that has come again before it was told that it had gone is not noted.
    ForgetReturned,
    /// An instance that is given something of a client that has gone is not told so.
    KeepStrangers,
    /// Messages of a client go on beyond its window.
    IgnoreWindow,
    /// What an instance has finished with counts on.
    IgnoreCredit,
    /// Calls of a client go on, however many are open.
    CallWithoutLimit,
    /// Clients of an instance do not take turns.
    NoTurns,
    /// Nobody looks after the clients of an instance that has gone.
    LoseCare,
    /// Every instance looks after every client.
    AllLookAfter,
    /// What waits of clients has no limit.
    CrowdOthers,
    /// A delivery is acknowledged for which an instance had no place.
    AcknowledgeLost,
    /// A key is nothing.
    ForgetKey,
    /// When an instance goes, keys of others move too.
    ScatterKeys,
    /// A key stays at an instance that is away.
    KeyToAway,
    /// A writer that waits is not woken.
    WakeNobody,
}

#[cfg(test)]
impl FaultInjection {
    /// All that a single thread can notice.
    pub(super) const ALL: [Self; 47] = [
        Self::OldRoutes,
        Self::DeliverTwice,
        Self::TrustResumed,
        Self::KeepQueued,
        Self::KeepGrants,
        Self::IgnoreAway,
        Self::GrantOverDeny,
        Self::GrantAnything,
        Self::ForgetKept,
        Self::KeepCleared,
        Self::KeepAll,
        Self::QueueEachState,
        Self::DropNewest,
        Self::LogWithoutLimit,
        Self::DropSilently,
        Self::KeepUnacknowledged,
        Self::LoseAcknowledged,
        Self::DeliverExpired,
        Self::UrgentAlways,
        Self::NeverExpire,
        Self::FirstMember,
        Self::ChooseAway,
        Self::AllOfGroup,
        Self::ForgetOpenCalls,
        Self::LoseLeft,
        Self::RepeatAnything,
        Self::RepeatToSame,
        Self::ForgetTheDead,
        Self::CommandToClients,
        Self::WaitForStuck,
        Self::KeepExpired,
        Self::ForgetUnanswered,
        Self::NoIntroduction,
        Self::ForgetGone,
        Self::ForgetReturned,
        Self::KeepStrangers,
        Self::IgnoreWindow,
        Self::IgnoreCredit,
        Self::CallWithoutLimit,
        Self::NoTurns,
        Self::LoseCare,
        Self::AllLookAfter,
        Self::CrowdOthers,
        Self::AcknowledgeLost,
        Self::ForgetKey,
        Self::ScatterKeys,
        Self::KeyToAway,
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
        pub(in crate::router) fn is_on(self) -> bool {
            SWITCHED_ON.get() == Some(self)
        }

        /// Switches to this fault, or to none, on this thread.
        pub(in crate::router) fn switch(to: Option<Self>) {
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

//! The clients that are connected, by their ids.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::Renew;
use crate::router::SessionHandle;

/// A client, and the user that a service has said it is.
pub(super) struct Member {
    pub(super) cid: String,
    pub(super) session: SessionHandle,
    /// What it may do as things are now.
    pub(super) renew: Renew,
    uid: Mutex<Arc<str>>,
}

impl Member {
    /// The user; empty where nobody has said.
    pub(super) fn uid(&self) -> Arc<str> {
        Arc::clone(&lock(&self.uid))
    }
}

/// All of them.
#[derive(Default)]
pub(super) struct Members(Mutex<HashMap<String, Arc<Member>>>);

impl Members {
    /// A client comes.
    pub(super) fn enter(&self, cid: String, session: SessionHandle, renew: Renew) -> Arc<Member> {
        let member = Arc::new(Member {
            cid,
            session,
            renew,
            uid: Mutex::new(Arc::from("")),
        });
        lock(&self.0).insert(member.cid.clone(), Arc::clone(&member));
        member
    }

    pub(super) fn leave(&self, member: &Member) {
        lock(&self.0).remove(&member.cid);
    }

    /// All of them, in no order.
    pub(super) fn all(&self) -> Vec<Arc<Member>> {
        lock(&self.0).values().cloned().collect()
    }

    /// Says who a client is. One that is not there is no fault: it may have gone.
    pub(super) fn set_uid(&self, cid: &str, uid: &str) {
        let member = lock(&self.0).get(cid).cloned();
        if let Some(member) = member {
            *lock(&member.uid) = Arc::from(uid);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is made in one step.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! How many calls an instance has that have not ended.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use super::fault_injection::FaultInjection;

/// How many calls an instance has been given that have not ended.
#[derive(Debug, Default)]
pub(super) struct OpenCalls(AtomicUsize);

impl OpenCalls {
    pub(super) fn count(&self) -> usize {
        self.0.load(Relaxed)
    }
}

/// Counts a call as open at its instance, while it exists.
#[derive(Debug)]
pub struct OpenCall(Arc<OpenCalls>);

impl OpenCall {
    pub(super) fn new(calls: &Arc<OpenCalls>) -> Self {
        if !FaultInjection::ForgetOpenCalls.is_on() {
            calls.0.fetch_add(1, Relaxed);
        }
        Self(calls.clone())
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        if !FaultInjection::ForgetOpenCalls.is_on() {
            self.0.0.fetch_sub(1, Relaxed);
        }
    }
}

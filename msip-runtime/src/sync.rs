//! Mutexes and atomics: those of `std`, or under `--cfg shuttle` those whose interleavings a test controls.
//!
//! What senders and the driver of a connection share is built of these, and what those who share a connection to a broker do.

#[cfg(not(shuttle))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
};

#[cfg(shuttle)]
pub(crate) use shuttle::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
};

use std::sync::PoisonError;

/// Locks a mutex whose value is whole between any two statements, so that a panic elsewhere leaves nothing half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

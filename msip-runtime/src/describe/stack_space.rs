//! Stack space for decoding nested messages.
//!
//! A message is built from the messages inside it, so reading recurses, up to the nesting limit. How much stack a level
//! takes depends on the user's types and is large in debug builds; a peer must not be able to overflow it. So each level
//! measures what the recursion has used so far, and where that is much, continues on a thread with a large stack.

use std::thread::{Builder, scope};

/// The most that is used of the caller's stack: a quarter of that of tokio's workers.
const CALLER_LIMIT: usize = 512 * 1024;
/// The stack size of a thread of ours. Only the pages that are touched take memory.
const THREAD_STACK: usize = 32 * 1024 * 1024;
/// The most that is used of it. The rest is for one more level.
const THREAD_LIMIT: usize = THREAD_STACK - 4 * 1024 * 1024;

/// Where a recursion began on its stack, and how much of that stack it may use.
#[derive(Debug, Clone, Copy)]
pub(super) struct StackSpace {
    base: usize,
    limit: usize,
}

impl StackSpace {
    /// Measures from here on, on the stack of the caller.
    pub(super) fn begin() -> Self {
        Self {
            base: here(),
            limit: CALLER_LIMIT,
        }
    }

    /// Whether another level fits.
    pub(super) fn has_room(self) -> bool {
        self.base.abs_diff(here()) < self.limit
    }

    /// Runs `read` on a thread with a large stack, and waits for it; `None` where no thread can be started, or `read`
    /// panics.
    pub(super) fn on_thread<T: Send>(read: impl FnOnce(Self) -> T + Send) -> Option<T> {
        scope(|scope| {
            let read = move || {
                read(Self {
                    base: here(),
                    limit: THREAD_LIMIT,
                })
            };
            let thread = Builder::new()
                .stack_size(THREAD_STACK)
                .spawn_scoped(scope, read);
            thread.ok()?.join().ok()
        })
    }
}

/// The address of something on the stack.
#[inline(always)]
fn here() -> usize {
    let marker = 0_u8;
    std::ptr::from_ref(&marker).addr()
}

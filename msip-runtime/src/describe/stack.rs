//! Room on the stack for messages inside messages.
//!
//! A message is built from the messages inside it, so reading one calls itself, up to the limit of nesting. How much
//! stack a call takes depends on the user's types and is large in debug builds; a peer must not be able to overflow
//! it. So the calls measure what they have taken, and go on in a thread with a large stack when that is much.

use std::thread::{Builder, scope};

use super::{Describe, Malformed, Reader};

/// What may be taken of the stack of whoever decodes: a quarter of that of tokio's workers.
const OF_CALLER: usize = 512 * 1024;
/// The stack of a thread of ours. Only what is touched of it takes memory.
const OWN: usize = 32 * 1024 * 1024;
/// What may be taken of it. The rest is for one more call.
const OF_OWN: usize = OWN - 4 * 1024 * 1024;

/// Where the calls began, and what they may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stack {
    base: usize,
    room: usize,
}

impl Stack {
    /// Begins to measure on the stack of the caller.
    pub(super) fn begin() -> Self {
        Self {
            base: here(),
            room: OF_CALLER,
        }
    }

    fn has_room(self) -> bool {
        self.base.abs_diff(here()) < self.room
    }
}

/// Reads a message, on another stack where this one is nearly used up.
pub(super) fn read<T: Describe>(mut reader: Reader<'_>) -> Result<T, Malformed> {
    if reader.stack.has_room() {
        T::read(&mut reader)
    } else {
        read_elsewhere(reader)
    }
}

#[cold]
#[inline(never)]
fn read_elsewhere<T: Describe>(mut reader: Reader<'_>) -> Result<T, Malformed> {
    let no_thread = || Malformed::new("no stack is left for messages nested so deep");
    scope(|scope| {
        let read = move || {
            reader.stack = Stack {
                base: here(),
                room: OF_OWN,
            };
            T::read(&mut reader)
        };
        let thread = Builder::new().stack_size(OWN).spawn_scoped(scope, read);
        let thread = thread.map_err(|_| no_thread())?;
        thread.join().unwrap_or_else(|_| Err(no_thread()))
    })
}

/// The address of something on the stack.
#[inline(always)]
fn here() -> usize {
    let marker = 0_u8;
    std::ptr::from_ref(&marker).addr()
}

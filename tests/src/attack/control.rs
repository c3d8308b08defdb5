//! A server that nobody attacks: how long its calls take meanwhile is what the machine costs.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::{Served, bystander::Bystander, program::Program};

/// The server, and who calls it.
#[derive(Debug)]
pub(super) struct Control {
    _program: Program,
    pub(super) url: String,
    pub(super) bystander: Bystander,
}

/// The one of this process, which is started when it is first needed.
pub(super) fn control() -> &'static Control {
    static CONTROL: OnceLock<Control> = OnceLock::new();
    CONTROL.get_or_init(|| {
        let (program, url) =
            Program::start("lab-server", &["tcp://127.0.0.1:0"], "tcp://", |_| false);
        Control {
            _program: program,
            bystander: Bystander::start(url.clone(), Served::Lab, None),
            url,
        }
    })
}

/// Held while something is measured: one at a time.
pub(super) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    // One that failed leaves nothing behind.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

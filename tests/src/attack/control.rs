//! A server that nobody attacks: how long its calls take meanwhile is what the machine costs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::{Served, broker::Broker, bystander::Bystander, program::Program};

/// The server, and who calls it.
#[derive(Debug)]
pub(super) struct Control {
    pub(super) url: String,
    // It calls the program, and so ends before it.
    pub(super) bystander: Bystander,
    _program: Program,
}

/// The one of this process, which runs while anyone has it: a server, or a broker where brokers are attacked.
pub(super) fn control(broker: Option<Broker>) -> Arc<Control> {
    static CONTROL: Mutex<Weak<Control>> = Mutex::new(Weak::new());
    let mut shared = CONTROL.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(control) = shared.upgrade() {
        return control;
    }
    let (served, (program, url)) = match broker {
        None => (
            Served::Lab,
            Program::start("lab-server", &["tcp://127.0.0.1:0"], "tcp://", |_| false),
        ),
        Some(broker) => (Served::Broker, broker.start("tcp://127.0.0.1:0")),
    };
    let control = Arc::new(Control {
        bystander: Bystander::start(url.clone(), served, None),
        url,
        _program: program,
    });
    *shared = Arc::downgrade(&control);
    control
}

/// Held while something is measured: one at a time.
pub(super) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    // One that failed leaves nothing behind.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

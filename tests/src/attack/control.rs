//! A server that nobody attacks: how long its calls take meanwhile is what the machine costs.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::{Served, broker::Broker, bystander::Bystander, program::Program};

/// The server, and who calls it.
#[derive(Debug)]
pub(super) struct Control {
    _program: Program,
    pub(super) url: String,
    pub(super) bystander: Bystander,
}

/// The one of this process, which is started when it is first needed: a server, or a broker where brokers are attacked.
pub(super) fn control(broker: Option<Broker>) -> &'static Control {
    static CONTROL: OnceLock<Control> = OnceLock::new();
    CONTROL.get_or_init(|| {
        let (served, (program, url)) = match broker {
            None => (
                Served::Lab,
                Program::start("lab-server", &["tcp://127.0.0.1:0"], "tcp://", |_| false),
            ),
            Some(broker) => (Served::Broker, broker.start("tcp://127.0.0.1:0")),
        };
        Control {
            _program: program,
            bystander: Bystander::start(url.clone(), served, None),
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

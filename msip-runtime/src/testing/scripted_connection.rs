//! A connection between the code under test and a script.

use std::{
    future::pending,
    marker::PhantomData,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    endpoint::Endpoint, script::Script, script_handler::ScriptHandler, shared_task::SharedTask,
};
use crate::{
    DisconnectReason, Envelope, Protocol, Status, connection::ConnectionShared, dispatch,
    driver::HandlerTask, settings::Settings, transport::memory_pair,
};
use msip_session::wire::Side;

/// A connection whose other end answers from a script.
///
/// Only the network is missing: messages are encoded, subject to flow control, and decoded before they are recorded. A
/// task runs both ends; a test that reads the recording runs them too, so that it finds everything sent before.
#[derive(Debug)]
pub(super) struct ScriptedConnection {
    task: Arc<SharedTask>,
    goodbye: Arc<Mutex<Option<Status>>>,
}

impl ScriptedConnection {
    /// Connects the code under test, which sends through `connection` and is on this side, to the script. `ended` is called
    /// when the connection has ended.
    pub(super) fn new<P, Out, In>(
        side: Side,
        connection: &Arc<ConnectionShared>,
        script: &Arc<Script<Out, In>>,
        ended: impl FnOnce() + Send + 'static,
    ) -> Self
    where
        P: Protocol,
        Out: Envelope,
        In: Envelope,
    {
        let (near, far) = memory_pair();
        let near = Endpoint::<P> {
            side,
            stream: near.stream,
            connection: Arc::clone(connection),
            protocol: PhantomData,
        };
        let far = Endpoint::<P> {
            side: match side {
                Side::Connecting => Side::Accepting,
                Side::Accepting => Side::Connecting,
            },
            stream: far.stream,
            connection: Arc::new(ConnectionShared::new(&Settings::default())),
            protocol: PhantomData,
        };
        let goodbye = Arc::new(Mutex::new(None));
        let received = Arc::clone(&goodbye);
        let handler = ScriptHandler::new(script);
        let task = SharedTask::spawn(async move {
            let near = async {
                near.run(|_, _| Box::pin(pending())).await;
                ended();
            };
            let far = async {
                let run = |connection, inbox| -> HandlerTask {
                    Box::pin(dispatch::run(Arc::new(handler), (), connection, inbox))
                };
                if let Some(DisconnectReason::ClosedByPeer(status)) = far.run(run).await {
                    *received.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
                }
            };
            tokio::join!(near, far);
        });
        Self { task, goodbye }
    }

    /// Delivers everything that has been sent.
    pub(super) fn settle(&self) {
        // Whether both ends have finished does not matter here.
        let _ = self.task.run();
    }

    /// The status with which the code under test closed the connection.
    pub(super) fn goodbye(&self) -> Option<Status> {
        self.settle();
        self.goodbye
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Breaks the connection: nothing that is sent from now on is recorded.
    pub(super) fn cut(&self) {
        self.settle();
        self.task.stop();
    }
}

impl Drop for ScriptedConnection {
    fn drop(&mut self) {
        self.cut();
    }
}

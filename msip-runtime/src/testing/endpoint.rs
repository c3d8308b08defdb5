//! One end of a test connection: handshake and driver.

use std::{marker::PhantomData, sync::Arc};

use crate::{
    CloseReason, DisconnectReason, Protocol,
    body::Encoding,
    connection::ConnectionShared,
    driver::{Driver, HandlerTask, handshake},
    service::Inbox,
    settings::Settings,
    transport::Stream as Bytes,
};
use msip_session::{
    Event, Session,
    wire::{Decoder, Hello, SECRET_LEN, SessionId, Side, Welcome},
};

/// One end of a connection in memory.
pub(super) struct Endpoint<P> {
    pub(super) side: Side,
    pub(super) stream: Bytes,
    pub(super) connection: Arc<ConnectionShared>,
    pub(super) protocol: PhantomData<fn() -> P>,
}

impl<P: Protocol> Endpoint<P> {
    /// Performs the handshake and runs the connection. Returns why it ended; `None` if the handshake failed.
    pub(super) async fn run(
        self,
        handlers: impl FnOnce(Arc<ConnectionShared>, Arc<Inbox>) -> HandlerTask,
    ) -> Option<DisconnectReason> {
        let settings = Settings::default();
        let Self {
            side,
            mut stream,
            connection,
            ..
        } = self;
        // Callers that wait when this is dropped get an error.
        let _closing = CloseOnDrop(Arc::clone(&connection));
        let decoder = open::<P>(side, &mut stream, &connection, &settings).await?;
        let inbox = Arc::new(Inbox::default());
        inbox.connected(connection.terms());
        let mut handlers = handlers(Arc::clone(&connection), Arc::clone(&inbox));
        let mut driver = Driver::new(stream, decoder, connection, inbox).run_by_wakers();
        let ending = driver.run(&mut handlers).await;
        Some(driver.end(ending).reason)
    }
}

/// Closes the connection when its endpoint ends.
struct CloseOnDrop(Arc<ConnectionShared>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.lose_session();
        self.0.close(CloseReason::ClosedByUs);
    }
}

/// Performs the handshake on one end of a new connection.
async fn open<P: Protocol>(
    side: Side,
    stream: &mut Bytes,
    connection: &ConnectionShared,
    settings: &Settings,
) -> Option<Decoder> {
    let config = settings.session(side);
    let mut decoder = Decoder::new(config.limits.max_payload());
    // The id is unique within a connection, which is all that is needed here.
    let id = SessionId::new(1)?;
    let now = connection.now();
    let mut session = match side {
        Side::Accepting => Session::accepting(config, now),
        Side::Connecting => {
            let hello = Hello {
                protocol: P::NAME.to_owned(),
                fingerprint: P::fingerprint(),
                session_secret: vec![0; SECRET_LEN],
                ..Hello::default()
            };
            Session::connecting(config, id, &hello, now)
        }
    };
    let limit = settings.handshake_timeout;
    match handshake(stream, &mut decoder, &mut session, connection, limit).await {
        Ok(Event::Hello(hello)) => {
            let welcome = Welcome {
                fingerprint: P::fingerprint(),
                ..Welcome::default()
            };
            session.welcome(id, &welcome, hello.hello.max_body);
        }
        Ok(Event::Welcome(_)) => {}
        other => {
            tracing::error!(?other, "the handshake of a test connection failed");
            return None;
        }
    }
    connection.attach(session, Encoding::default());
    Some(decoder)
}

//! What a person is told of a client's connection.

#![expect(clippy::print_stderr, reason = "it tells people what happens")]

use msip_runtime::{CloseReason, ConnectionInfo, ConnectionState};

/// Says on standard error when the connection is lost, and when there is one again. Returns why the client will not connect any more.
pub async fn tell_connection(connection: ConnectionInfo<'_>) -> CloseReason {
    let mut state = connection.watch();
    let mut is_lost = false;
    loop {
        let now = *state.borrow_and_update();
        if let Some(reason) = connection.closed() {
            return reason;
        }
        match now {
            ConnectionState::Connected if is_lost => eprintln!("connected again"),
            ConnectionState::Reconnecting { .. } if !is_lost => {
                eprintln!("connection lost, connecting again");
            }
            _ => {}
        }
        is_lost = matches!(now, ConnectionState::Reconnecting { .. });
        if state.changed().await.is_err() {
            // The client is gone, and so is whoever could ask why.
            return CloseReason::ClosedByUs;
        }
    }
}

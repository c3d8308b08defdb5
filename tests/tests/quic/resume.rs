//! A session that goes on by another connection.

use msip_runtime::{Client, ConnectionState, DisconnectReason};
use msip_tests::{
    SeenByServer, connected,
    lab::{Lab, SaveInd, SendClientToServer as _},
    next, soon, start,
};

use crate::{
    certificates::Certificates,
    relay::{Faults, Relay},
};

async fn until(client: &Client<Lab>, is_connected: bool) {
    let mut state = client.connection().watch();
    let reached = state.wait_for(|state| (*state == ConnectionState::Connected) == is_connected);
    soon("the state", reached).await.expect("lives");
}

#[tokio::test]
async fn a_session_outlives_a_network_that_is_silent_for_a_while() {
    const SETTINGS: &str = "&ping_interval=200ms";
    let certificates = Certificates::new();
    let (url, mut events, _server) = start(&(certificates.listening() + SETTINGS)).await;
    let relay = Relay::start(&url, Faults::default()).await;
    let url = certificates.connecting(relay.url())
        + SETTINGS
        + "&buffer_disconnected=1MiB&reconnect_max=5ms";
    let client = Client::<Lab>::connect(url).await.expect("connects");
    let first = connected(&mut events).await;
    let mut handled = Vec::new();
    for round in 0..3 {
        until(&client, true).await;
        relay.set_cut(true);
        let mut sends = Vec::new();
        for number in 0..50 {
            let (client, number) = (client.clone(), 100 + round * 50 + number);
            sends.push(tokio::spawn(async move {
                client.save_ind(SaveInd { number }).await
            }));
        }
        until(&client, false).await;
        relay.set_cut(false);
        for send in sends {
            let sent = soon("an acknowledgment", send).await.expect("no panic");
            assert_eq!(sent, Ok(()));
        }
        while handled.len() < 50 * (usize::try_from(round).expect("small") + 1) {
            match next(&mut events).await {
                SeenByServer::Save(number) => handled.push(number),
                SeenByServer::Connected(peer) => assert_eq!(peer.id(), first.id()),
                SeenByServer::Disconnected(reason) => assert!(
                    matches!(
                        reason,
                        DisconnectReason::KeepaliveTimeout { .. }
                            | DisconnectReason::TakenOver
                            | DisconnectReason::Eof
                    ),
                    "{reason:?}"
                ),
                event => panic!("{event:?}"),
            }
        }
    }
    assert_eq!(handled, (100..250).collect::<Vec<_>>());
    assert!(client.connection().lost_sessions().borrow().is_none());
}

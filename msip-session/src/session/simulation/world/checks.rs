//! What holds of both sides at each step, and once all is settled.

use std::time::Duration;

use super::{
    super::{MAX_CALLS, STREAM_WINDOW, config, node::LONG_ANSWER},
    World,
};
use crate::{
    session::{
        Phase,
        droppable::QUEUE_SHARE,
        window::{STREAM_GROWTH, WINDOW_GROWTH},
    },
    wire::Side,
};

/// How long credit may be withheld from a peer that waits for it: two rounds, and what passes between steps.
const WITHHELD_TIME: Duration = Duration::from_millis(600);

impl World {
    /// Checks that nothing grows beyond its limits.
    pub(super) fn check_limits(&mut self, side: Side) -> Result<(), String> {
        let limits = config(side, self.buffer_disconnected);
        let Some(session) = &self.node(side).session else {
            return Ok(());
        };
        const FRAME: usize = 4 * 1024;
        let kept = session.outbound.kept_cost();
        let waiting = session.resend_queue.cost();
        let (may_send, may_come) = (session.send_window.items(), session.receive_window.items());
        let window = i64::from(limits.window.items * WINDOW_GROWTH);
        // Answers and what is sent again come on top of what senders may queue: those that no handler adds to, and those of the
        // handlers that ran then.
        let running = MAX_CALLS as usize * (LONG_ANSWER + FRAME);
        let answers = limits.outgoing_queue + limits.session_buffer + running;
        if kept > limits.session_buffer + FRAME {
            return Err(format!("{side:?} keeps {kept} bytes of deliveries"));
        }
        if waiting > limits.buffer_disconnected + limits.outgoing_queue + 2 * FRAME {
            return Err(format!("{side:?} has {waiting} bytes waiting"));
        }
        if session.queued() > limits.outgoing_queue + answers + FRAME {
            return Err(format!("{side:?} has {} bytes queued", session.queued()));
        }
        let datagrams = session.datagrams_to_send();
        if datagrams > limits.outgoing_queue / QUEUE_SHARE {
            return Err(format!(
                "{side:?} has {datagrams} bytes of datagrams waiting"
            ));
        }
        if !(0..=window).contains(&may_send) || !(0..=window).contains(&may_come) {
            return Err(format!(
                "{side:?} has credit for {may_send}, and has granted {may_come}"
            ));
        }
        if session.receive_window.is_overgranted() {
            return Err(format!(
                "{side:?} grants credit for messages that did not come by this connection: {:?}",
                session.receive_window
            ));
        }
        let window = i64::from(STREAM_WINDOW.items * STREAM_GROWTH);
        for streams in session.streams.windows() {
            let mut items = [streams.sends, streams.receives].into_iter().flatten();
            if items.any(|items| !(0..=window).contains(&items)) {
                return Err(format!("{side:?} has a stream with credit for {streams:?}"));
            }
        }
        if session.unexpected > 0 {
            return Err(format!("{side:?} got frames that no correct peer sends"));
        }
        Ok(())
    }

    /// Checks that credit comes back with time: nobody who has something to grant keeps the peer waiting for it.
    pub(super) fn check_withheld(&mut self, side: Side) -> Result<(), String> {
        let now = self.now;
        let node = self.node(side);
        let mut withheld = Vec::new();
        if let Some(session) = node.session.as_ref().filter(|it| it.phase == Phase::Open) {
            let window = session.receive_window.withheld_after();
            withheld.extend(window.map(|grants| (None, grants)));
            let streams = session.streams.windows();
            withheld.extend(
                streams.filter_map(|it| it.withheld_after.map(|grants| (Some(it.id), grants))),
            );
        }
        node.withheld.retain(|window, _| withheld.contains(window));
        for window in withheld {
            let since = *node.withheld.entry(window).or_insert(now);
            if now > since + WITHHELD_TIME {
                return Err(format!(
                    "{side:?} withholds credit since {since:?}: {window:?}"
                ));
            }
        }
        Ok(())
    }

    /// Once all is settled, checks that the tables are empty.
    pub(super) fn check_tables(&self) -> Result<(), String> {
        for node in [&self.client, &self.server] {
            let Some(session) = &node.session else {
                continue;
            };
            let (opened, served) = (session.outbound.len(), session.inbound.len());
            let streaming = session.streams.len();
            let abandoned = session.outbound.abandoned_count();
            if !session.outbound.is_idle()
                || !session.inbound.is_idle()
                || streaming > 0
                || abandoned > 0
            {
                return Err(format!(
                    "{:?} has {opened} exchanges open and serves {served}, {streaming} as streams, and counts {abandoned} that were given up",
                    node.side
                ));
            }
        }
        Ok(())
    }

    /// Once all is settled, checks that nothing was lost, and that both sides count the same credit.
    pub(super) fn check_balance(&mut self) -> Result<(), String> {
        let (Some(client), Some(server)) = (&self.client.session, &self.server.session) else {
            return Err("no session".to_owned());
        };
        for session in [client, server] {
            if session.held() > 0 {
                return Err(format!(
                    "{} bytes are held where nothing is there",
                    session.held()
                ));
            }
        }
        for node in [&self.client, &self.server] {
            if let Some((connection, dropped)) = node.connection() {
                self.rules.check_survivors(node.side, connection, dropped)?;
            }
        }
        let pairs = [
            (client.send_window.items(), server.receive_window.items()),
            (server.send_window.items(), client.receive_window.items()),
        ];
        for (sender, receiver) in pairs {
            if sender != receiver {
                return Err(format!("credit for {sender}, where {receiver} was granted"));
            }
        }
        Ok(())
    }
}

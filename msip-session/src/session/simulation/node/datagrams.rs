//! The datagrams of a side: what its driver does with a lane.

use std::time::Duration;

use super::{Node, Queued, number_of};
use crate::{
    session::{
        datagrams::MAX_UNHANDLED,
        frame_writer::header_of,
        simulation::{lane::Lane, random::Random, rules::Rules},
    },
    wire::{Flags, HEADER_LEN},
};

/// What comes before the number in a body, in a datagram: the header, and the length of a topic that is not there.
const BEFORE_BODY: usize = HEADER_LEN + 2;

/// The length of the frame of a message: its number and so many bytes more.
pub(super) fn frame_len(padding: usize) -> usize {
    BEFORE_BODY + size_of::<u64>() + padding
}

impl Node {
    /// Gives what waits to the lane, while that takes it.
    pub(in crate::session::simulation) fn write_lane(
        &mut self,
        lane: &mut Lane,
        now: Duration,
        random: &mut Random,
        rules: &mut Rules,
    ) -> Result<(), String> {
        let (Some(session), Some(attached)) = (self.session.as_mut(), self.attached.as_mut())
        else {
            return Ok(());
        };
        let max_len = lane.max_len(random);
        session.allow_datagrams(max_len);
        attached.max_datagram = max_len;
        while lane.is_ready(now) {
            let Some(frame) = session.poll_datagram() else {
                return Ok(());
            };
            let number = (frame.get(BEFORE_BODY..).and_then(|body| body.first_chunk()))
                .map(|bytes| u64::from_be_bytes(*bytes))
                .ok_or_else(|| format!("a datagram of {} bytes", frame.len()))?;
            let header = header_of(&frame).ok_or("a datagram without a header")?;
            if header.flags.contains(Flags::ACK_REQUIRED) || header.msg_id.is_delivery() {
                return Err(format!("{number} is a delivery, and goes by a datagram"));
            }
            if lane.send(frame.clone(), now, random) {
                let connection = (self.generation, session.connection());
                rules.sent_by_datagram(self.side, number, connection)?;
            } else {
                session.datagram_unsent(&frame);
            }
        }
        Ok(())
    }

    /// Takes what has come by the lane, as far as the session does.
    pub(in crate::session::simulation) fn read_lane(
        &mut self,
        lane: &mut Lane,
        now: Duration,
        rules: &mut Rules,
    ) -> Result<(), String> {
        if now < self.reads_at {
            return Ok(());
        }
        let (Some(session), Some(_)) = (self.session.as_mut(), self.attached.as_ref()) else {
            return Ok(());
        };
        while session.may_receive_datagram() {
            let datagram = lane.read(now);
            session.count_unreceived(lane.take_dropped());
            let Some(datagram) = datagram else {
                break;
            };
            let before = session.dropped().received;
            let received = session.handle_datagram(datagram.bytes.into());
            let refused = session.dropped().received - before;
            let is_right = match received {
                Some(_) => !datagram.is_cut && refused == 0,
                None => datagram.is_cut && refused == 1,
            };
            if !is_right {
                return Err(format!(
                    "{:?} has {received:?} of a datagram, cut: {}, and counts {refused} refused",
                    self.side, datagram.is_cut
                ));
            }
            if let Some(incoming) = received {
                rules.came_by_datagram(self.side, number_of(&incoming))?;
                self.queue.push_back(Queued {
                    incoming,
                    generation: self.generation,
                    connection: session.connection(),
                    by_datagram: true,
                });
            }
        }
        let waiting = (self.queue.iter())
            .chain(self.handling.as_ref().map(|(queued, _)| queued))
            .filter(|queued| queued.by_datagram && queued.generation == self.generation)
            .count();
        let counted = session.unhandled_datagrams() as usize;
        if waiting != counted || waiting > MAX_UNHANDLED as usize {
            return Err(format!(
                "{:?} has {waiting} datagrams waiting for their handlers, and counts {counted}",
                self.side
            ));
        }
        Ok(())
    }
}

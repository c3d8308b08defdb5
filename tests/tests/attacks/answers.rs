//! Answers that nobody reads.
//!
//! What may be held is the limit, and for each connection what docs/operations.md, "Memory", grants it beyond that: its floor of
//! answers, one answer, and its floor of calls that wait. Without it each would hold 8 MiB and more.

use msip_runtime::{Envelope, wire::Flags};
use msip_tests::{
    attack::{AttackOnServer, Bounds, KIB, MIB, RawMessage, Served},
    lab::{ActReq, ClientToServer, CountReq, EchoReq, SaveInd},
};

/// `max_memory` here, as number and as setting.
const LIMIT: u64 = 2 * MIB;
const SETTINGS: &str = "max_memory=2MiB";

/// What a connection may cost beyond the limit, but for one answer.
const EACH: u64 = 384 * KIB;

/// What the allocator may keep, and whatever else a server needs under load.
const BESIDES: u64 = 4 * MIB;

/// Sends so many messages on each connection, as long as they are taken, and reads nothing.
#[derive(Debug)]
struct Unread {
    name: &'static str,
    attackers: usize,
    served: Served,
    flags: Flags,
    count: usize,
    /// The length of one answer.
    answer_len: u64,
}

impl Unread {
    fn new(name: &'static str, attackers: usize, answer_len: u64) -> Self {
        Self {
            name,
            attackers,
            served: Served::Lab,
            flags: Flags::ACK_REQUIRED,
            count: 200,
            answer_len,
        }
    }

    fn run(self, message: impl Envelope) {
        let Self {
            name,
            attackers,
            served,
            flags,
            count,
            answer_len,
        } = self;
        let people = u64::try_from(attackers).unwrap_or(u64::MAX);
        let message = RawMessage::of(flags, &message);
        AttackOnServer::new(name)
            .settings(SETTINGS)
            .served(served)
            .attackers(attackers)
            .within(Bounds {
                memory: BESIDES + LIMIT + people * (EACH + answer_len),
                descriptors: people + 20,
                lines: people + 20,
            })
            .run_sending(&message, count);
    }
}

fn act(what: &str) -> ClientToServer {
    ClientToServer::ActReq(ActReq { what: what.into() })
}

#[test]
fn answers_of_64_kib() {
    Unread::new("calls answered with 64 KiB at once", 4, 64 * KIB).run(act("answer 65536"));
}

#[test]
fn answers_of_64_kib_that_take_their_time() {
    Unread::new("calls answered with 64 KiB after 10 ms", 4, 64 * KIB).run(act("later 65536"));
}

#[test]
fn answers_of_1_mib() {
    Unread {
        count: 30,
        ..Unread::new("calls answered with 1 MiB at once", 2, MIB)
    }
    .run(act("answer 1048576"));
}

#[test]
fn answers_of_an_untyped_service() {
    let echo = ClientToServer::EchoReq(EchoReq {
        ballast: vec![0; 65_536],
        ..EchoReq::default()
    });
    Unread {
        served: Served::Untyped,
        count: 150,
        ..Unread::new("calls echoed by an untyped service", 4, 64 * KIB)
    }
    .run(echo);
}

#[test]
fn errors() {
    Unread::new("calls that fail", 4, KIB).run(act("fail"));
}

#[test]
fn streams() {
    let count = CountReq {
        ballast_len: 64 * 1024,
        ..CountReq::default()
    };
    Unread::new("calls answered with a stream of 64 KiB each", 4, 64 * KIB)
        .run(ClientToServer::CountReq(count));
}

#[test]
fn acknowledgments() {
    Unread {
        // As many as there is credit for.
        count: 1000,
        ..Unread::new("deliveries", 4, KIB)
    }
    .run(ClientToServer::SaveInd(SaveInd::default()));
}

#[test]
fn answers_of_one_client() {
    let echo = ClientToServer::EchoReq(EchoReq {
        ballast: vec![0; 8192],
        ..EchoReq::default()
    });
    let call = RawMessage::of(Flags::ACK_REQUIRED, &echo);
    AttackOnServer::new("200 calls with answers of 8 KiB, which are not read")
        .settings("outgoing_queue=64KiB&max_memory=1MiB")
        .within(Bounds {
            memory: 4 * MIB,
            ..Bounds::default()
        })
        .run_sending(&call, 200);
}

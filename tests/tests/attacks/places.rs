//! Connections that take places of `max_connections` and file descriptors.

use std::collections::VecDeque;

use msip_runtime::wire::{FrameType, Hello, SessionId, write_hello};
use msip_tests::{
    attack::{AttackOnServer, Attacker, Bounds, MIB, Target},
    raw,
};

/// How many connections beyond `max_connections` a server may hold: in their handshakes, and one that it has just accepted.
const SPARE: u64 = 64 + 1;

/// A connection that says this HELLO for a session of this number, and what it is answered.
async fn say_hello(target: &Target, session: SessionId, hello: &Hello) -> (Attacker, String) {
    let mut payload = Vec::new();
    write_hello(&mut payload, session, hello);
    let mut attacker = target.connect().await;
    attacker
        .send(&raw::frame(FrameType::Hello, raw::HELLO_ID, &payload))
        .await;
    let answer = attacker.hear().await;
    let answer = answer.map_or_else(String::new, |frame| {
        raw::describe(&frame).unwrap_or_default()
    });
    (attacker, answer)
}

fn session(number: usize) -> SessionId {
    let number = u64::try_from(number).unwrap_or_default();
    match SessionId::new(number + 1) {
        Some(session) => session,
        None => panic!("0 is no session"),
    }
}

#[test]
fn takeovers_of_a_session_whose_old_connections_are_not_closed() {
    AttackOnServer::new("2,000 takeovers of one session, where there are places for 20")
        .settings("max_connections=20")
        .within(Bounds {
            memory: 8 * MIB,
            lines: 60 + 60,
            // One of the places is the bystander's.
            descriptors: 19 + SPARE,
        })
        .run(async |target| {
            let hello = target.hello();
            // The attacker closes none of them as long as it can.
            let mut open = VecDeque::new();
            for _ in 0..2000 {
                let (attacker, answer) = say_hello(&target, session(1), &hello).await;
                assert!(answer.starts_with("ACK"), "{answer}");
                open.push_back(attacker);
                if open.len() > 400 {
                    open.pop_front();
                }
            }
            open
        });
}

#[test]
fn takeovers_of_as_many_sessions_as_there_are_places() {
    AttackOnServer::new("takeovers of 19 sessions, where there are places for 20")
        .settings("max_connections=20")
        .within(Bounds {
            memory: 8 * MIB,
            lines: 60 + 60,
            descriptors: 19 + SPARE,
        })
        .run(async |target| {
            let hello = target.hello();
            let mut open = VecDeque::new();
            for number in 0..1000 {
                let (attacker, answer) = say_hello(&target, session(number % 19), &hello).await;
                // Who takes its own session over is served, also where no place is free.
                assert!(answer.starts_with("ACK"), "{number}: {answer}");
                open.push_back(attacker);
                if open.len() > 400 {
                    open.pop_front();
                }
            }
            open
        });
}

#[test]
fn refused_clients_that_do_not_close() {
    AttackOnServer::new("1,000 guesses at a session, whose connections are not closed")
        .settings("max_connections=20")
        .within(Bounds {
            memory: 8 * MIB,
            lines: 60,
            descriptors: 19 + SPARE,
        })
        .run(async |target| {
            let hello = target.hello();
            let (owner, _) = say_hello(&target, session(1), &hello).await;
            let guess = Hello {
                session_secret: vec![1; hello.session_secret.len()],
                ..hello.clone()
            };
            let mut open = VecDeque::new();
            for _ in 0..1000 {
                let (attacker, answer) = say_hello(&target, session(1), &guess).await;
                assert!(!answer.starts_with("ACK"), "{answer}");
                open.push_back(attacker);
                if open.len() > 400 {
                    open.pop_front();
                }
            }
            (owner, open)
        });
}

#[test]
fn more_connections_than_there_are_places() {
    AttackOnServer::new("200 clients where there are places for 20")
        .settings("max_connections=20")
        .attackers(200)
        .within(Bounds {
            memory: 8 * MIB,
            lines: 60 + 60,
            descriptors: 19 + SPARE,
        })
        .run(async |target| {
            let mut attacker = target.connect().await;
            attacker
                .send(&msip_tests::raw::hello_frame(&target.hello()))
                .await;
            attacker.hear().await;
            attacker
        });
}

//! Attacks on the broker: each hurts only the peer that it comes from. Meanwhile a client calls a service through the broker,
//! and both must not notice; the memory, the descriptors and the log of the process have bounds. `msip_tests::attack` says how.

use msip_runtime::{
    MsgKind,
    prost::Message as _,
    wire::{Flags, FrameType, Header, Hello, Metadata, MsgId, Side, Subscribe},
};
use msip_tests::{
    attack::{AttackOnServer, Attacker, Bounds, KIB, MIB, RawMessage, Target, body},
    raw,
};

use crate::mip;

/// An attack on a broker as it runs without a setting.
fn attack(name: &'static str) -> AttackOnServer {
    AttackOnServer::new(name).on_broker(env!("CARGO_BIN_EXE_msip-broker"), &[])
}

fn within(memory: u64) -> Bounds {
    Bounds {
        memory,
        ..Bounds::default()
    }
}

fn event(topic: &str, body: impl Into<Vec<u8>>) -> RawMessage {
    RawMessage::one_way(1, body).topic(topic.as_bytes())
}

fn call(topic: &str) -> RawMessage {
    RawMessage::call(1, "").topic(topic.as_bytes())
}

fn subscribe(attacker: &mut Attacker, topic: &str) -> Vec<u8> {
    raw::frame(FrameType::Subscribe, attacker.next_id(), topic.as_bytes())
}

/// A subscription of typed traffic.
fn subscribe_by_peer(attacker: &mut Attacker, topic: &str) -> Vec<u8> {
    let asked = Subscribe {
        protocol: "chat.v1".to_owned(),
        fingerprint: 7,
        by_peer: true,
        ..Subscribe::default()
    };
    let asked = asked.encode_to_vec();
    let len = u16::try_from(asked.len()).expect("is short").to_be_bytes();
    let header = Header {
        flags: Flags::META | Flags::ACK_REQUIRED,
        ..Header::control(FrameType::Subscribe, attacker.next_id())
    };
    raw::frame_of(header, &[&len[..], &asked, topic.as_bytes()].concat())
}

/// An instance of a typed service that reads nothing.
async fn silent_instance(target: &Target, filter: &str) -> Attacker {
    let mut instance = target.enter().await;
    let serves = subscribe_by_peer(&mut instance, filter);
    instance.send(&serves).await;
    let answer = instance.hear().await;
    assert!(answer.is_some(), "it may serve");
    instance
}

/// A MIP peer that was greeted.
async fn mip_peer(target: &Target, name: &[u8]) -> Attacker {
    let mut attacker = target.connect().await;
    attacker.send(&mip::frame(mip::HELLO, 0, 1, name)).await;
    let answer = attacker.hear().await;
    assert!(answer.is_some(), "it is greeted");
    attacker
}

#[test]
fn strangers_with_half_a_hello() {
    attack("200 strangers, and all but a byte of a HELLO of 16 KiB")
        .attackers(200)
        .within(Bounds {
            memory: 200 * 64 * KIB + 4 * MIB,
            descriptors: 220,
            lines: 220,
        })
        .run(async |target| {
            let mut attacker = target.connect().await;
            let mut hello = raw::announced(FrameType::Hello, raw::HELLO_ID, 16 * 1024);
            hello.resize(hello.len() + 16 * 1024 - 1, 0);
            attacker.send(&hello).await;
            attacker
        });
}

#[test]
fn frames_of_which_a_byte_has_come() {
    attack("200 MSIP peers and 200 MIP peers, each with a byte of a frame of 4 MiB")
        .attackers(200)
        .within(Bounds {
            memory: 200 * 2 * 32 * KIB + 4 * MIB,
            descriptors: 420,
            lines: 420,
        })
        .run(async |target| {
            let mut msip = target.enter().await;
            let id = msip.next_id();
            let mut frame = raw::announced(FrameType::Publish, id, 4 << 20);
            frame.push(0);
            msip.send(&frame).await;
            let mut mip = mip_peer(&target, b"").await;
            mip.send(&frame).await;
            (msip, mip)
        });
}

#[test]
fn parts_of_long_frames_beyond_the_memory_that_there_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("broker.toml");
    std::fs::write(&file, "[limits]\nmemory = '4MiB'").expect("is written");
    let file = file.to_str().expect("text").to_owned();
    let arguments: &'static [&'static str] = Box::leak(Box::new(["--config", file.leak()]));
    AttackOnServer::new("40 MIP peers, each with 1 MiB of a frame of 4 MiB, at memory=4MiB")
        .on_broker(env!("CARGO_BIN_EXE_msip-broker"), arguments)
        .attackers(40)
        .within(Bounds {
            memory: 4 * MIB + 40 * 2 * 64 * KIB + 6 * MIB,
            descriptors: 60,
            lines: 120,
        })
        .run(async |target| {
            let mut attacker = mip_peer(&target, b"").await;
            let mut frame = mip::publish(0, 1, "long", &vec![0; (4 << 20) - 100]);
            frame.truncate(1 << 20);
            attacker.send(&frame).await;
            attacker
        });
}

#[test]
fn connections_that_are_reset() {
    attack("1,000 connections that are reset, before a byte, after a HELLO, within a frame")
        .attackers(4)
        .within(Bounds {
            // Those of MSIP have sessions, which are kept for a while.
            memory: 24 * MIB,
            descriptors: 1000,
            lines: 400,
        })
        .run(async |target| {
            for number in 0..250 {
                match number % 3 {
                    0 => drop(target.connect().await),
                    1 => drop(mip_peer(&target, b"").await),
                    _ => {
                        let mut attacker = target.enter().await;
                        let id = attacker.next_id();
                        attacker
                            .send(&raw::announced(FrameType::Publish, id, 1 << 20))
                            .await;
                    }
                }
            }
        });
}

#[test]
fn pings_that_are_not_read() {
    attack("100,000 PINGs by MSIP and MIP peers, whose answers are not read")
        .attackers(2)
        .run(async |target| {
            let ping = raw::frame(FrameType::Ping, MsgId::exchange(Side::Connecting, 2), b"");
            let mut msip = target.enter().await;
            msip.send(&ping.repeat(100_000)).await;
            let mut mip = mip_peer(&target, b"").await;
            mip.send(&ping.repeat(100_000)).await;
            (msip, mip)
        });
}

#[test]
fn calls_that_are_cancelled_at_once() {
    attack("20,000 calls to a service that hangs, each cancelled at once")
        .attackers(4)
        .within(within(32 * MIB))
        .run(async |target| {
            let mut service = target.enter().await;
            let served = subscribe(&mut service, "hang/$in");
            service.send(&served).await;
            let mut attacker = target.enter().await;
            let mut frames = Vec::new();
            for _ in 0..20_000 {
                let id = attacker.next_id();
                frames.extend(call("hang").frame(Side::Connecting, id));
                frames.extend(raw::frame(FrameType::Cancel, id, b""));
            }
            attacker.send(&frames).await;
            (service, attacker)
        });
}

#[test]
fn errors_that_are_not_read() {
    attack("20,000 calls that nobody serves, whose errors are not read")
        .attackers(4)
        .run_sending(&call("nobody"), 20_000);
}

#[test]
fn subscribes_without_end() {
    attack("30,000 SUBSCRIBEs by MSIP peers, whose answers are not read")
        .attackers(4)
        .within(within(4 * 10_000 * KIB + 8 * MIB))
        .run(async |target| {
            let mut attacker = target.enter().await;
            let mut frames = Vec::new();
            for number in 0..30_000 {
                frames.extend(subscribe(&mut attacker, &format!("a/{number}/+/c")));
            }
            attacker.send(&frames).await;
            attacker
        });
}

#[test]
fn subscriptions_of_long_topics() {
    attack("300 subscriptions of MIP peers to topics of 65,535 bytes, each")
        .attackers(4)
        .within(within(32 * MIB))
        .run(async |target| {
            let mut attacker = mip_peer(&target, b"").await;
            for number in 0..300_u64 {
                let mut topic = vec![b'x'; 65_535];
                topic[..8].copy_from_slice(&number.to_be_bytes());
                attacker
                    .send(&mip::frame(mip::SUBSCRIBE, 0, 2, &topic))
                    .await;
            }
            attacker
        });
}

#[test]
fn large_messages_each_to_a_topic_of_its_own() {
    attack("300 messages of 1 MiB by MIP peers, each to another topic")
        .attackers(2)
        .within(within(32 * MIB))
        .run(async |target| {
            let mut attacker = mip_peer(&target, b"").await;
            for number in 0..150 {
                let topic = format!("large/{number}");
                let message = mip::publish(0, number, &topic, &vec![b'x'; 1 << 20]);
                attacker.send(&message).await;
                attacker.hear().await;
            }
            attacker
        });
}

#[test]
fn messages_to_long_topics() {
    attack("250 messages of MIP peers to topics of 65,535 bytes, each")
        .attackers(4)
        .within(within(32 * MIB))
        .run(async |target| {
            let mut attacker = mip_peer(&target, b"").await;
            for number in 0..250_u64 {
                let mut topic = vec![b'x'; 65_535];
                topic[..5].copy_from_slice(format!("{number:05}").as_bytes());
                let topic = String::from_utf8(topic).expect("is text");
                attacker.send(&mip::publish(0, number, &topic, b"")).await;
                attacker.hear().await;
            }
            attacker
        });
}

#[test]
fn acknowledgments_that_are_not_read() {
    attack("100,000 messages of MIP peers, whose ACKs are not read")
        .attackers(4)
        .run(async |target| {
            let mut attacker = mip_peer(&target, b"").await;
            let message = mip::publish(0, 1, "nobody", b"");
            attacker.send(&message.repeat(100_000)).await;
            attacker
        });
}

#[test]
fn hellos_that_are_not_read() {
    attack("100,000 HELLOs of a MIP peer, whose answers are not read")
        .attackers(2)
        .run(async |target| {
            let mut attacker = mip_peer(&target, b"").await;
            attacker
                .send(&mip::frame(mip::HELLO, 0, 1, b"").repeat(100_000))
                .await;
            attacker
        });
}

#[test]
fn a_number_that_is_claimed_again_and_again() {
    attack(
        "a session of MIP peers with 1,000 subscriptions, of which the number is claimed 400 times",
    )
    .attackers(4)
    .within(Bounds {
        memory: 16 * MIB,
        descriptors: 440,
        lines: 1000,
    })
    .run(async |target| {
        let number = 7_u64.to_be_bytes();
        let mut claiming = Vec::new();
        for round in 0..100 {
            let mut attacker = mip_peer(&target, &number).await;
            if round == 0 {
                attacker.send(&mip_subscriptions(1000)).await;
            }
            claiming.push(attacker);
        }
        claiming
    });
}

#[test]
fn a_text_that_many_share() {
    attack("100 connections of MIP peers with one text, which subscribe to 300 topics each")
        .attackers(100)
        .within(Bounds {
            memory: 100 * 128 * KIB + 16 * MIB,
            descriptors: 120,
            lines: 400,
        })
        .run(async |target| {
            let mut attacker = mip_peer(&target, b"the text of all of them").await;
            attacker.send(&mip_subscriptions(300)).await;
            attacker
        });
}

/// SUBSCRIBEs to so many topics, which are not to be acknowledged.
fn mip_subscriptions(count: usize) -> Vec<u8> {
    let topics = (0..count).map(|number| format!("storm/{number}"));
    let frames = topics.map(|topic| mip::frame(mip::SUBSCRIBE, 0, 2, topic.as_bytes()));
    frames.flatten().collect()
}

#[test]
fn a_session_that_is_resumed_again_and_again() {
    attack("an MSIP session with 1,000 subscriptions, which is taken over 200 times")
        .attackers(2)
        .within(Bounds {
            lines: 1000,
            ..Bounds::default()
        })
        .run(async |target| {
            let hello = raw::resuming_frame(&target.hello());
            for round in 0..100 {
                let mut attacker = target.connect().await;
                attacker.send(&hello).await;
                attacker.hear().await;
                if round == 0 {
                    let topics = (0..1000).map(|number| format!("storm/{number}/+"));
                    let frames: Vec<u8> = topics
                        .flat_map(|topic| subscribe(&mut attacker, &topic))
                        .collect();
                    attacker.send(&frames).await;
                }
            }
        });
}

#[test]
fn sessions_that_are_left_behind() {
    attack("1,000 sessions that are begun and left: half of MIP peers with long names")
        .attackers(4)
        .within(Bounds {
            memory: 1000 * 16 * KIB + 8 * MIB,
            lines: 400,
            ..Bounds::default()
        })
        .run(async |target| {
            for number in 0..125_u64 {
                drop(target.enter().await);
                let mut name = vec![b'x'; 1024];
                name[..8].copy_from_slice(&number.to_be_bytes());
                drop(mip_peer(&target, &name).await);
            }
        });
}

#[test]
fn subscribers_that_do_not_read_what_they_publish() {
    attack("messages of 64 KiB by peers that hear all of them and read nothing")
        .attackers(4)
        .within(Bounds {
            // Each is cut at outgoing_bytes, of which a part is in the process twice.
            memory: 4 * 2 * 8 * MIB + 32 * MIB,
            ..Bounds::default()
        })
        .run(async |target| {
            let mut attacker = target.enter().await;
            let hears = subscribe(&mut attacker, "flood/#");
            attacker.send(&hears).await;
            let frames = attacker.frames(&event("flood/a", vec![0; 64 * 1024]), 500);
            attacker.send(&frames).await;
            attacker
        });
}

#[test]
fn states_with_another_key_each() {
    attack("4,000 STATEs of 32 KiB, each of a topic of its own")
        .attackers(4)
        .within(within(64 * MIB + 32 * MIB))
        .run(async |target| {
            let mut attacker = target.enter().await;
            let mut frames = Vec::new();
            for number in 0..1000 {
                let id = attacker.next_id();
                let topic = format!("state/{}/{number}", id.sequence());
                let len = u16::try_from(topic.len()).expect("is short").to_be_bytes();
                let header = Header {
                    kind: MsgKind::State.into(),
                    variant: 1,
                    ..Header::control(FrameType::Publish, id)
                };
                let payload = [&len[..], topic.as_bytes(), &[1; 32 * 1024]].concat();
                frames.extend(raw::frame_of(header, &payload));
            }
            attacker.send(&frames).await;
            attacker
        });
}

#[test]
fn bombs_for_peers_that_have_not_agreed_to_them() {
    attack("compressed bodies of 3 MiB of zeros, for MIP and MSIP peers that have to have them inflated")
        .attackers(2)
        .within(Bounds {
            memory: 4 * 2 * 8 * MIB + 32 * MIB,
            lines: 200,
            ..Bounds::default()
        })
        .run(async |target| {
            let mut mip = mip_peer(&target, b"").await;
            mip.send(&mip::frame(mip::SUBSCRIBE, 0, 2, b"bomb")).await;
            let mut plain = target
                .enter_with(&Hello {
                    compressions: Vec::new(),
                    ..target.hello()
                })
                .await;
            let hears = subscribe(&mut plain, "bomb");
            plain.send(&hears).await;
            let mut attacker = target.enter().await;
            let bomb = event("bomb", Vec::new()).compressed(body::gzip(&vec![0; 3 << 20]));
            let frames = attacker.frames(&bomb, 200);
            attacker.send(&frames).await;
            (mip, plain, attacker)
        });
}

#[test]
fn metadata_as_large_as_it_may_be() {
    attack("5,000 messages with 8 KiB of headers, for a subscriber that does not read")
        .attackers(2)
        .within(within(2 * 2 * 8 * MIB + 32 * MIB))
        .run(async |target| {
            let mut subscriber = target.enter().await;
            let hears = subscribe(&mut subscriber, "meta");
            subscriber.send(&hears).await;
            let mut attacker = target.enter().await;
            let mut metadata = Metadata::default();
            for number in 0..500 {
                metadata.headers.insert(format!("h{number:05}"), "x".into());
            }
            let frames = attacker.frames(&event("meta", "x").metadata(&metadata), 5000);
            attacker.send(&frames).await;
            (subscriber, attacker)
        });
}

#[test]
fn items_without_end() {
    attack("200,000 empty items of a stream for a service that takes none")
        .attackers(2)
        .within(within(16 * MIB))
        .run(async |target| {
            let mut service = target.enter().await;
            let served = subscribe(&mut service, "sink/$in");
            service.send(&served).await;
            let mut attacker = target.enter().await;
            let id = attacker.next_id();
            let opener = call("sink").flags(Flags::MORE);
            attacker.send(&opener.frame(Side::Connecting, id)).await;
            let item = Header {
                flags: Flags::ITEM | Flags::MORE,
                ..Header::control(FrameType::Publish, id)
            };
            attacker
                .send(&raw::frame_of(item, &[0, 0]).repeat(200_000))
                .await;
            (service, attacker)
        });
}

#[test]
fn deliveries_that_are_never_acknowledged() {
    attack("5,000 deliveries of 8 KiB for a subscriber that acknowledges none")
        .attackers(2)
        .within(within(2 * 3 * 8 * MIB + 48 * MIB))
        .run(async |target| {
            let mut subscriber = target.enter().await;
            let hears = subscribe(&mut subscriber, "silent");
            subscriber.send(&hears).await;
            let mut attacker = target.enter().await;
            let message = event("silent", vec![0; 8 * 1024]).flags(Flags::ACK_REQUIRED);
            let mut frames = Vec::new();
            for sequence in 1..=5000 {
                let id = MsgId::delivery(Side::Connecting, sequence);
                frames.extend(message.frame(Side::Connecting, id));
            }
            attacker.send(&frames).await;
            (subscriber, attacker)
        });
}

#[test]
fn subscriptions_of_typed_traffic_without_end() {
    attack("100,000 by_peer SUBSCRIBEs, introduced to an instance that reads nothing")
        .attackers(4)
        .within(within(4 * 10_000 * 3 * KIB + 8 * MIB))
        .run(async |target| {
            let instance = silent_instance(&target, "typed/+/$in").await;
            let mut attacker = target.enter().await;
            let first = attacker.next_id().sequence();
            let mut frames = Vec::new();
            for number in first..first + 25_000 {
                let topic = format!("typed/{number}");
                frames.extend(subscribe_by_peer(&mut attacker, &topic));
            }
            attacker.send(&frames).await;
            (instance, attacker)
        });
}

#[test]
fn clients_that_are_introduced_and_leave_at_once() {
    attack(
        "2,000 clients that subscribe by_peer, send and close, at an instance that reads nothing",
    )
    .attackers(4)
    .within(Bounds {
        memory: 16 * MIB,
        descriptors: 100,
        lines: 400,
    })
    .run(async |target| {
        let instance = silent_instance(&target, "typed/$in").await;
        for _ in 0..500 {
            let mut client = target.enter().await;
            let mut frames = subscribe_by_peer(&mut client, "typed");
            let job = RawMessage::one_way(1, vec![0; 100]).topic(b"typed/$in");
            frames.extend(client.frame(&job));
            let close = Header::control(FrameType::Close, MsgId::CONNECTION);
            frames.extend(raw::frame_of(close, b""));
            client.send(&frames).await;
            // Until it is closed.
            while client.hear().await.is_some() {}
        }
        instance
    });
}

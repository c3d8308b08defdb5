//! What holds for any two descriptions.

use crate::compare::{Breaks, Description, compare};
use crate::{
    Cardinality, Compression, EnumType, EnumValue, Exchange, Field, FieldType, Member, MessageType,
    MsgKind, Payload, Span, TypeDef, TypeName, Types,
};

/// Numbers that repeat from run to run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()].clone()
    }
}

/// Types with few names and numbers, so that two of them often differ in one thing.
fn types(random: &mut Random) -> Types {
    let count = 1 + random.below(5);
    let name = |index| TypeName::new(format!("p.T{index}"));
    let mut types = Types::new();
    for index in 0..count {
        let mut message = MessageType::default();
        for number in 1..=4_u32 {
            if random.below(3) == 0 {
                continue;
            }
            let ty = match random.below(6) {
                0 => FieldType::Int32,
                1 => FieldType::String,
                2 => FieldType::Enum(TypeName::new("p.E")),
                3 => FieldType::Message(TypeName::new("google.protobuf.Timestamp")),
                _ => FieldType::Message(name(random.below(count))),
            };
            let is_message = matches!(ty, FieldType::Message(_));
            let mut oneof = None;
            let cardinality = match random.below(6) {
                0 => Cardinality::Repeated,
                1 => Cardinality::Map(FieldType::String),
                2 => {
                    oneof = Some(random.of(&["one", "two"]).to_owned());
                    Cardinality::Optional
                }
                3 if !is_message => Cardinality::Implicit,
                _ => Cardinality::Optional,
            };
            let field_name = if random.below(8) == 0 {
                format!("g{number}")
            } else {
                format!("f{number}")
            };
            message.fields.push(Field {
                name: field_name,
                json_name: None,
                number,
                ty,
                cardinality,
                oneof,
                expanded: false,
                doc: String::new(),
                deprecated: false,
                span: Span::NONE,
            });
        }
        types.insert(name(index), TypeDef::Message(message));
    }
    let values = (0..=random.below(3)).map(|number| EnumValue {
        name: format!("V{}", number + random.below(2) * 10),
        number: i32::try_from(number).unwrap(),
        doc: String::new(),
        deprecated: false,
        span: Span::NONE,
    });
    let values = values.collect();
    types.insert(
        TypeName::new("p.E"),
        TypeDef::Enum(EnumType {
            values,
            ..EnumType::default()
        }),
    );
    types
}

fn description(random: &mut Random) -> Description {
    let types = types(random);
    let names: Vec<_> = types
        .iter()
        .filter(|(_, ty)| matches!(ty, TypeDef::Message(_)))
        .map(|(name, _)| name.clone())
        .collect();
    let member = |random: &mut Random, number: u16, exchange: Exchange| Member {
        name: format!("m{}", u64::from(number) + random.below(8) / 7),
        number,
        payload: if random.below(6) == 0 {
            Payload::Empty
        } else {
            Payload::Message(random.of(&names))
        },
        doc: String::new(),
        kind: random.of(&[MsgKind::Event, MsgKind::Event, MsgKind::State]),
        exchange,
        timeout: None,
        urgent: false,
        compress: Compression::Negotiated,
        idempotent: false,
        no_side_effects: false,
        key: None,
        code: None,
        deprecated: false,
        span: Span::NONE,
    };
    let answer = member(random, 1, Exchange::Answer);
    let answer = Member {
        name: "answer".to_owned(),
        ..answer
    };
    let mut client = Vec::new();
    for number in [1, 4, 7] {
        let call = Exchange::Call {
            response: "answer".to_owned(),
            request_stream: random.below(2) == 0,
            response_stream: random.below(2) == 0,
        };
        let exchange = random.of(&[Exchange::OneWay, Exchange::Acknowledged, call]);
        if random.below(5) > 0 {
            client.push(member(random, number, exchange));
        }
    }
    Description::new("p", client, vec![answer], types)
}

#[test]
fn what_is_compared_is_what_the_fingerprint_covers() {
    let mut random = Random(0x1234_5678_9abc_def1);
    let (mut equal, mut different) = (0, 0);
    for round in 0..250 {
        let ours = description(&mut random);
        let theirs = if random.below(4) == 0 {
            Description::parse(ours.to_text().as_bytes()).expect("it was written here")
        } else {
            description(&mut random)
        };
        for side in [&ours, &theirs] {
            let comparison = compare(side, side);
            assert!(comparison.is_empty(), "round {round}: {comparison}");
        }
        let comparison = compare(&ours, &theirs);
        let reverse = compare(&theirs, &ours);
        let context = || {
            format!(
                "round {round}:\n{comparison}\nand back:\n{reverse}\n{}\n{}",
                ours.to_text(),
                theirs.to_text()
            )
        };
        assert_eq!(comparison.count(), reverse.count(), "{}", context());
        assert_eq!(comparison.breaks(), reverse.breaks(), "{}", context());
        if ours.fingerprint() == theirs.fingerprint() {
            // Names of types are not covered, and mean nothing.
            assert_eq!(comparison.breaks(), Breaks::Nothing, "{}", context());
            equal += 1;
        } else {
            assert!(!comparison.is_empty(), "{}", context());
            different += 1;
        }
        let again = Description::parse(ours.to_text().as_bytes()).expect("it was written here");
        assert_eq!(again.fingerprint(), ours.fingerprint(), "round {round}");
        assert!(compare(&ours, &again).is_empty(), "round {round}");
    }
    assert!(equal > 20 && different > 100, "{equal} {different}");
}

#[test]
fn whatever_is_read_can_be_compared() {
    let mut random = Random(0x0fed_cba9_8765_4321);
    let mut read = 0;
    for _ in 0..1000 {
        let ours = description(&mut random);
        let mut text = ours.to_text().into_bytes();
        for _ in 0..=random.below(3) {
            let len = text.len() as u64;
            let at = usize::try_from(random.below(len)).unwrap();
            match random.below(3) {
                0 => text[at] = random.of(b"0123456789 .:\nabcE"),
                1 => drop(text.remove(at)),
                _ => text.insert(at, random.of(b"019 .\nf")),
            }
        }
        if let Ok(theirs) = Description::parse(&text) {
            read += 1;
            let comparison = compare(&ours, &theirs);
            let is_same = ours.fingerprint() == theirs.fingerprint();
            assert!(is_same || !comparison.is_empty(), "{}", theirs.to_text());
        }
    }
    assert!(read > 10, "only {read} could be read");
}

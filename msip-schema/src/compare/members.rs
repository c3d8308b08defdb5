//! The comparison of the members of two descriptions, by number, and of all that they lead to.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Description,
    comparison::Comparison,
    difference::{Breaks, Change, Difference, Place, Which},
    message,
    value::{Match, match_names},
    walk::{Origin, Walk},
    write::exchange,
};
use crate::{Direction, Exchange, Member, Payload};

/// Compares two descriptions: `ours` or the older one, and `theirs` or the newer one.
///
/// It compares what the two mean on the wire, and the names of types. Two descriptions with the same fingerprint differ in
/// names of types and names in JSON at most.
#[must_use]
pub fn compare(ours: &Description, theirs: &Description) -> Comparison {
    let mut walk = Walk::new(ours, theirs);
    walk.package();
    for direction in [Direction::ClientToServer, Direction::ServerToClient] {
        walk.members(direction);
    }
    // Nothing here recurses: types may be nested as deep as they like.
    let mut is_cut_short = false;
    while let Some(visit) = walk.next() {
        if !message::compare(&mut walk, visit) {
            is_cut_short = true;
            break;
        }
    }
    walk.differences.finish(is_cut_short)
}

impl<'a> Walk<'a> {
    fn package(&mut self) {
        let (ours, theirs) = (self.ours.package(), self.theirs.package());
        if ours != theirs {
            self.differences.add(Breaks::All, || Difference {
                place: Place::default(),
                change: Change::Package {
                    ours: ours.to_owned(),
                    theirs: theirs.to_owned(),
                },
                breaks: Breaks::All,
            });
        }
    }

    fn members(&mut self, direction: Direction) {
        let (ours, theirs) = (self.ours, self.theirs);
        let (ours, theirs) = (ours.members(direction), theirs.members(direction));
        let names = |members: &'a [Member]| -> BTreeMap<&'a str, u16> {
            let named = members.iter();
            named
                .map(|member| (member.name.as_str(), member.number))
                .collect()
        };
        let (our_names, their_names) = (names(ours), names(theirs));
        // A name that both have, under another number, is the same member nevertheless.
        let moved: BTreeMap<&str, (u16, u16)> = our_names
            .iter()
            .filter_map(|(name, number)| {
                let other = their_names.get(name)?;
                (number != other).then_some((*name, (*number, *other)))
            })
            .collect();
        for (name, (our_number, their_number)) in &moved {
            let change = Change::MemberNumber {
                ours: *our_number,
                theirs: *their_number,
            };
            self.of_member(direction, name, Breaks::All, || change);
        }
        let by_number = |members: &'a [Member]| -> BTreeMap<u16, &'a Member> {
            let numbered = members.iter();
            numbered.map(|member| (member.number, member)).collect()
        };
        let (ours, theirs) = (by_number(ours), by_number(theirs));
        let numbers: BTreeSet<u16> = ours.keys().chain(theirs.keys()).copied().collect();
        for number in numbers {
            let is_moved = |member: &Member| moved.contains_key(member.name.as_str());
            match (ours.get(&number), theirs.get(&number)) {
                (Some(ours), Some(theirs)) if !is_moved(ours) && !is_moved(theirs) => {
                    self.member(direction, ours, theirs);
                }
                (ours, theirs) => {
                    for (which, member) in [(Which::Ours, ours), (Which::Theirs, theirs)] {
                        if let Some(member) = member.filter(|member| !is_moved(member)) {
                            let change = || Change::MemberOnly { which, number };
                            self.of_member(direction, &member.name, Breaks::Nothing, change);
                        }
                    }
                }
            }
        }
    }

    fn member(&mut self, direction: Direction, ours: &'a Member, theirs: &'a Member) {
        let name = ours.name.as_str();
        if ours.name != theirs.name {
            self.of_member(direction, name, Breaks::Names, || Change::MemberName {
                number: ours.number,
                ours: ours.name.clone(),
                theirs: theirs.name.clone(),
            });
        }
        let exchanges = (
            exchange(self.ours, ours, direction),
            exchange(self.theirs, theirs, direction),
        );
        if exchanges.0 != exchanges.1 {
            // A sender may ask for an acknowledgment of any message that is no call, whatever its schema says.
            let is_one_way =
                |exchange: &Exchange| matches!(exchange, Exchange::OneWay | Exchange::Acknowledged);
            let breaks = if is_one_way(&ours.exchange) && is_one_way(&theirs.exchange) {
                Breaks::Nothing
            } else {
                Breaks::All
            };
            self.of_member(direction, name, breaks, || Change::Exchange {
                ours: exchange_in_words(&ours.exchange),
                theirs: exchange_in_words(&theirs.exchange),
            });
        } else if ours.kind != theirs.kind {
            self.of_member(direction, name, Breaks::All, || Change::Kind {
                ours: ours.kind,
                theirs: theirs.kind,
            });
        }
        match (&ours.payload, &theirs.payload) {
            (Payload::Message(ours), Payload::Message(theirs)) => {
                let (our_types, their_types) = (self.ours.types(), self.theirs.types());
                match match_names((ours, our_types), (theirs, their_types)) {
                    Match::If(pair) => self.visit(pair, Origin::Member(direction, name)),
                    Match::Same => {}
                    Match::Different(breaks) => {
                        self.of_member(direction, name, breaks, || Change::TypeName {
                            ours: ours.to_string(),
                            theirs: theirs.to_string(),
                        });
                    }
                }
            }
            (Payload::Empty, Payload::Empty) => {}
            (ours, _) => {
                let empty = match ours {
                    Payload::Empty => Which::Ours,
                    Payload::Message(_) => Which::Theirs,
                };
                self.of_member(direction, name, Breaks::Nothing, || Change::Payload {
                    empty,
                });
            }
        }
    }

    fn of_member(
        &mut self,
        direction: Direction,
        name: &str,
        breaks: Breaks,
        change: impl FnOnce() -> Change,
    ) {
        self.differences.add(breaks, || Difference {
            place: Place {
                direction: Some(direction),
                member: Some(name.to_owned()),
                fields: Vec::new(),
            },
            change: change(),
            breaks,
        });
    }
}

/// What comes back, as a reader of logs expects it.
fn exchange_in_words(exchange: &Exchange) -> String {
    let Exchange::Call {
        response,
        request_stream,
        response_stream,
    } = exchange
    else {
        return match exchange {
            Exchange::Acknowledged => "acknowledged",
            Exchange::Answer => "the answer of a call",
            _ => "one-way",
        }
        .to_owned();
    };
    let requests = if *request_stream {
        "a stream of requests"
    } else {
        "a call"
    };
    let answers = if *response_stream { "a stream of " } else { "" };
    format!("{requests} answered by {answers}`{response}`")
}

//! One difference: where it is, what it is, and what it breaks.

use std::fmt;

use crate::{Direction, MsgKind};

/// What a difference breaks: the bodies of which codecs can no longer be exchanged.
///
/// JSON and MessagePack carry names, protobuf carries numbers, so that a renamed field breaks the former, and a renumbered
/// one the latter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Breaks {
    /// Nothing: each side reads what the other writes, and ignores what it does not know.
    #[default]
    Nothing,
    /// Bodies in JSON and in MessagePack.
    Names,
    /// Bodies in protobuf.
    Protobuf,
    /// All bodies, or the exchange itself.
    All,
}

impl Breaks {
    /// Whether bodies in protobuf are concerned.
    #[must_use]
    pub const fn protobuf(self) -> bool {
        matches!(self, Self::Protobuf | Self::All)
    }

    /// Whether bodies in JSON and in MessagePack are concerned.
    #[must_use]
    pub const fn names(self) -> bool {
        matches!(self, Self::Names | Self::All)
    }

    /// What both break together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        match (
            self.protobuf() || other.protobuf(),
            self.names() || other.names(),
        ) {
            (false, false) => Self::Nothing,
            (false, true) => Self::Names,
            (true, false) => Self::Protobuf,
            (true, true) => Self::All,
        }
    }
}

impl fmt::Display for Breaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "harmless",
            Self::Names => "wire-breaking in JSON and MessagePack",
            Self::Protobuf => "wire-breaking in protobuf",
            Self::All => "wire-breaking",
        })
    }
}

/// One of the two descriptions that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Which {
    /// The first argument of [`compare`](super::compare).
    Ours,
    /// The second argument.
    Theirs,
}

/// How the two descriptions are called in the text of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sides {
    /// Where the first is, or when it was, such as `here` or `before`.
    pub ours: &'static str,
    /// The same of the second.
    pub theirs: &'static str,
}

impl Sides {
    /// A program and its peer: `here` and `there`.
    pub const PEERS: Self = Self {
        ours: "here",
        theirs: "there",
    };
    /// Two versions of one schema: `before` and `now`.
    pub const VERSIONS: Self = Self {
        ours: "before",
        theirs: "now",
    };

    const fn name(self, which: Which) -> &'static str {
        match which {
            Which::Ours => self.ours,
            Which::Theirs => self.theirs,
        }
    }
}

/// Where a difference is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Place {
    /// The direction; `None` for what concerns both.
    pub direction: Option<Direction>,
    /// The member; `None` for what concerns the protocol.
    pub member: Option<String>,
    /// The fields that lead from the member's message to the difference; a type that is used in several places is
    /// compared in the first of them.
    pub fields: Vec<String>,
}

/// How many fields of a path are written at each end, where there are more.
const PATH_ENDS: usize = 4;

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(direction) = self.direction else {
            return f.write_str("the protocol");
        };
        f.write_str(match direction {
            Direction::ClientToServer => "client-to-server",
            Direction::ServerToClient => "server-to-client",
        })?;
        if let Some(member) = &self.member {
            write!(f, " `{member}`")?;
        }
        if self.fields.is_empty() {
            return Ok(());
        }
        let count = self.fields.len();
        let path = if count <= 2 * PATH_ENDS {
            self.fields.join(".")
        } else {
            let (first, last) = (
                self.fields.get(..PATH_ENDS).unwrap_or_default(),
                self.fields.get(count - PATH_ENDS..).unwrap_or_default(),
            );
            format!("{}…{}", first.join("."), last.join("."))
        };
        write!(f, ", field `{path}`")
    }
}

/// What a difference is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// The package, which names the protocol: peers refuse each other.
    Package {
        /// Its name.
        ours: String,
        /// Its name.
        theirs: String,
    },
    /// Only one side has this member. The other answers a call of it with `UNIMPLEMENTED`, and counts other messages.
    MemberOnly {
        /// The side that has it.
        which: Which,
        /// Its number.
        number: u16,
    },
    /// A member has another name.
    MemberName {
        /// Its number.
        number: u16,
        /// Its name.
        ours: String,
        /// Its name.
        theirs: String,
    },
    /// A member has another number.
    MemberNumber {
        /// Its number.
        ours: u16,
        /// Its number.
        theirs: u16,
    },
    /// A member has another kind.
    Kind {
        /// Its kind.
        ours: MsgKind,
        /// Its kind.
        theirs: MsgKind,
    },
    /// A member is answered in another way.
    Exchange {
        /// What comes back, in words, such as `one-way`.
        ours: String,
        /// The same.
        theirs: String,
    },
    /// A member carries nothing on one side, and a message on the other.
    Payload {
        /// The side where it carries nothing.
        empty: Which,
    },
    /// A type has another name.
    TypeName {
        /// Its full name.
        ours: String,
        /// Its full name.
        theirs: String,
    },
    /// Only one side has this field. The other ignores it.
    FieldOnly {
        /// The side that has it.
        which: Which,
        /// Its number.
        number: u32,
    },
    /// A field has another name.
    FieldName {
        /// Its number.
        number: u32,
        /// Its name.
        ours: String,
        /// Its name.
        theirs: String,
    },
    /// A field has another name in JSON.
    JsonName {
        /// Its number.
        number: u32,
        /// Its name in JSON.
        ours: String,
        /// The same.
        theirs: String,
    },
    /// A field has another number.
    FieldNumber {
        /// Its number.
        ours: u32,
        /// Its number.
        theirs: u32,
    },
    /// A field has another type, or another number of values.
    FieldType {
        /// Its number.
        number: u32,
        /// Its type, such as `repeated string`.
        ours: String,
        /// The same.
        theirs: String,
    },
    /// The absence of a field is visible on one side only.
    Presence {
        /// Its number.
        number: u32,
        /// `optional`, `always there` or `in a oneof`.
        ours: &'static str,
        /// The same.
        theirs: &'static str,
    },
    /// A field excludes others on one side, and not on the other.
    Oneof {
        /// Its number.
        number: u32,
        /// The lowest number of the fields of its oneof that both sides have; `None` where it is alone.
        ours: Option<u32>,
        /// The same.
        theirs: Option<u32>,
    },
    /// Only one side has this value of an enum.
    ValueOnly {
        /// The side that has it.
        which: Which,
        /// Its number.
        number: i32,
        /// Its name.
        name: String,
    },
    /// A value of an enum has other names.
    ValueName {
        /// Its number.
        number: i32,
        /// Its names.
        ours: String,
        /// Its names.
        theirs: String,
    },
    /// A value of an enum has another number.
    ValueNumber {
        /// Its name.
        name: String,
        /// Its number.
        ours: i32,
        /// Its number.
        theirs: i32,
    },
}

/// One difference of two descriptions.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// Where it is.
    pub place: Place,
    /// What it is.
    pub change: Change,
    /// What it breaks.
    pub breaks: Breaks,
}

impl Difference {
    /// The difference in words, such as ``client-to-server `say_ind`, field `text` (1): string here, bytes there
    /// [wire-breaking]``.
    #[must_use]
    pub fn text(&self, sides: Sides) -> String {
        format!("{}{} [{}]", self.place, self.what(sides), self.breaks)
    }

    /// What follows the place.
    fn what(&self, sides: Sides) -> String {
        let Sides { ours: o, theirs: t } = sides;
        match &self.change {
            Change::Package { ours, theirs } => format!(": package `{ours}` {o}, `{theirs}` {t}"),
            Change::MemberOnly { which, number } => {
                format!(" ({number}): only {}", sides.name(*which))
            }
            Change::MemberName {
                number,
                ours,
                theirs,
            } => format!(" ({number}): named `{ours}` {o}, `{theirs}` {t}"),
            Change::MemberNumber { ours, theirs } => {
                format!(": number {ours} {o}, {theirs} {t}")
            }
            Change::Kind { ours, theirs } => {
                format!(": {} {o}, {} {t}", ours.name(), theirs.name())
            }
            Change::Exchange { ours, theirs } => {
                format!(": {ours} {o}, {theirs} {t}")
            }
            Change::Payload { empty } => {
                let other = match empty {
                    Which::Ours => Which::Theirs,
                    Which::Theirs => Which::Ours,
                };
                format!(
                    ": without data {}, a message {}",
                    sides.name(*empty),
                    sides.name(other)
                )
            }
            Change::TypeName { ours, theirs } => format!(": type `{ours}` {o}, `{theirs}` {t}"),
            Change::FieldOnly { which, number } => {
                format!(" ({number}): only {}", sides.name(*which))
            }
            Change::FieldName {
                number,
                ours,
                theirs,
            } => format!(" ({number}): named `{ours}` {o}, `{theirs}` {t}"),
            Change::JsonName {
                number,
                ours,
                theirs,
            } => {
                let (ours, theirs) = (ours.escape_debug(), theirs.escape_debug());
                format!(" ({number}): `{ours}` in JSON {o}, `{theirs}` {t}")
            }
            Change::FieldNumber { ours, theirs } => format!(": number {ours} {o}, {theirs} {t}"),
            Change::FieldType {
                number,
                ours,
                theirs,
            } => format!(" ({number}): {ours} {o}, {theirs} {t}"),
            Change::Presence {
                number,
                ours,
                theirs,
            } => format!(" ({number}): {ours} {o}, {theirs} {t}"),
            Change::Oneof {
                number,
                ours,
                theirs,
            } => {
                let oneof = |lowest: &Option<u32>| match lowest {
                    Some(lowest) => format!("in the oneof of field {lowest}"),
                    None => "in no oneof of others".to_owned(),
                };
                format!(" ({number}): {} {o}, {} {t}", oneof(ours), oneof(theirs))
            }
            Change::ValueOnly {
                which,
                number,
                name,
            } => format!(": value `{name}` ({number}) only {}", sides.name(*which)),
            Change::ValueName {
                number,
                ours,
                theirs,
            } => format!(": value {number} named `{ours}` {o}, `{theirs}` {t}"),
            Change::ValueNumber { name, ours, theirs } => {
                format!(": value `{name}` is {ours} {o}, {theirs} {t}")
            }
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(Sides::PEERS))
    }
}

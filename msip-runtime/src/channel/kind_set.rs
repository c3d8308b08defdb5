//! Sets of kinds of messages.

use std::fmt;

use crate::MsgKind;

/// A set of kinds. On the wire it is a byte, in which the bit of a kind's number is set (docs/protocol.md, "Channels").
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct KindSet(u8);

impl KindSet {
    /// The kinds that may go by a channel: one-way messages are of these. A COMMAND is a call, or may become one.
    pub(crate) const OF_CHANNELS: Self = Self(
        Self::bit(MsgKind::Event)
            | Self::bit(MsgKind::State)
            | Self::bit(MsgKind::Log)
            | Self::bit(MsgKind::Metric),
    );

    const fn bit(kind: MsgKind) -> u8 {
        // The numbers are 1 to 5.
        1 << kind.number()
    }

    pub(crate) const fn contains(self, kind: MsgKind) -> bool {
        self.0 & Self::bit(kind) != 0
    }

    pub(crate) const fn with(self, kind: MsgKind) -> Self {
        Self(self.0 | Self::bit(kind))
    }

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The set of this [byte](Self::to_byte).
    #[inline]
    pub(crate) const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// As it is written in HELLO.
    pub(crate) const fn to_byte(self) -> u8 {
        self.0
    }

    /// The set that HELLO has; `None` where it is empty, or has what goes by no channel.
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        let kinds = Self(byte);
        let is_valid = !kinds.is_empty() && kinds.without(Self::OF_CHANNELS).is_empty();
        is_valid.then_some(kinds)
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its kinds, in the order of their numbers.
    pub(crate) fn kinds(self) -> impl Iterator<Item = MsgKind> {
        let all = MsgKind::ALL.into_iter();
        all.filter(move |kind| self.contains(*kind))
    }
}

/// As a URL has them: `log,metric`.
impl fmt::Display for KindSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, kind) in self.kinds().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            f.write_str(&kind.name().to_ascii_lowercase())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_what_it_was_made_of() {
        let lossy = KindSet::default()
            .with(MsgKind::Metric)
            .with(MsgKind::Log)
            .with(MsgKind::Log);
        assert_eq!(lossy.to_string(), "log,metric");
        assert!(lossy.contains(MsgKind::Log) && !lossy.contains(MsgKind::State));
        let rest = KindSet::OF_CHANNELS.without(lossy);
        assert_eq!(rest.to_string(), "event,state");
        assert!(rest.without(rest).is_empty());
        assert_eq!(rest.and(lossy), KindSet::OF_CHANNELS);
    }
}

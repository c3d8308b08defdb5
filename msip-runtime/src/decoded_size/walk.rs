//! The walk over the bytes of a message that adds up what it takes in memory.
//!
//! It reads everything that a decoder reads, and goes on where a decoder may: what it counts is never less than what is
//! decoded before an error is found.

use super::table::{Contents, Field, Message, SizeTable, TEXT_COST};

/// Decoders refuse messages nested deeper than 100 (docs/protocol.md, "Limits"). A few more levels do no harm here, and one
/// less would.
const MAX_DEPTH: usize = 104;

/// Any message that the table does not have: what it has no field of takes nothing.
static UNKNOWN: Message = Message { fields: Vec::new() };

/// What the message with this index takes, beginning with `start`. Stops soon after `max`.
pub(super) fn count(
    table: &SizeTable,
    message: usize,
    bytes: &[u8],
    start: usize,
    max: usize,
) -> usize {
    let mut walk = Walk {
        messages: &table.messages,
        total: start,
        max,
        parts: Vec::new(),
    };
    if let Some(message) = table.messages.get(message) {
        // Where the bytes are no message, decoding fails there too.
        let _ = walk.fields(bytes, message, None, 0);
    }
    walk.total
}

struct Walk<'t> {
    messages: &'t [Message],
    total: usize,
    max: usize,
    /// The lengths of the fields that would be merged, of the messages that are open, the innermost last.
    parts: Vec<(u32, usize)>,
}

/// The bytes end here, for a decoder too, or enough was counted.
struct Stop;

impl Walk<'_> {
    /// The fields of a message, or of a group up to its end. Returns what follows the group.
    fn fields<'b>(
        &mut self,
        mut bytes: &'b [u8],
        message: &Message,
        group: Option<u64>,
        depth: usize,
    ) -> Result<&'b [u8], Stop> {
        if depth > MAX_DEPTH {
            return Err(Stop);
        }
        let own_parts = self.parts.len();
        let mut hint = 0;
        let mut last = 0;
        while !bytes.is_empty() {
            let (key, rest) = varint(bytes)?;
            let number = key >> 3;
            let field = message.field(number, &mut hint);
            // Elements of a list that are not beside each other count as several lists.
            let is_first = std::mem::replace(&mut last, number) != number;
            match key & 7 {
                4 if group == Some(number) => {
                    self.parts.truncate(own_parts);
                    return Ok(rest);
                }
                2 => {
                    let (len, rest) = varint(rest)?;
                    let len = usize::try_from(len).map_err(|_| Stop)?;
                    let (content, rest) = rest.split_at_checked(len).ok_or(Stop)?;
                    bytes = rest;
                    if let Some(field) = field {
                        self.delimited(field, content, is_first, own_parts, depth)?;
                    }
                }
                3 => {
                    let contents = field.map(|field| {
                        self.add_element(field, is_first);
                        field.contents
                    });
                    let inner = match contents {
                        Some(Contents::Message { index, .. }) => self.messages.get(index),
                        _ => None,
                    };
                    let inner = inner.unwrap_or(&UNKNOWN);
                    bytes = self.fields(rest, inner, Some(number), depth + 1)?;
                    self.check()?;
                }
                wire => {
                    bytes = match wire {
                        0 => varint(rest)?.1,
                        1 => rest.get(8..).ok_or(Stop)?,
                        5 => rest.get(4..).ok_or(Stop)?,
                        _ => return Err(Stop),
                    };
                    if let Some(field) = field {
                        self.add_element(field, is_first);
                        self.check()?;
                    }
                }
            }
        }
        self.parts.truncate(own_parts);
        Ok(bytes)
    }

    /// One length-delimited occurrence of a field.
    fn delimited(
        &mut self,
        field: Field,
        content: &[u8],
        is_first: bool,
        own_parts: usize,
        depth: usize,
    ) -> Result<(), Stop> {
        match field.contents {
            Contents::Varint => {
                let values = content.iter().filter(|byte| **byte < 0x80).count();
                self.add_packed(field, values, is_first);
            }
            Contents::Fixed(len) => self.add_packed(field, content.len() / len, is_first),
            Contents::Text => {
                self.add_element(field, is_first);
                if !content.is_empty() {
                    self.add(content.len() + TEXT_COST);
                }
            }
            Contents::Message { index, is_merged } => {
                self.add_element(field, is_first);
                if is_merged {
                    self.merge(field.number, content.len(), own_parts);
                }
                self.check()?;
                if let Some(message) = self.messages.get(index) {
                    let parts = self.parts.len();
                    // A decoder may look into it after what follows it, so that what follows counts in any case.
                    let _ = self.fields(content, message, None, depth + 1);
                    self.parts.truncate(parts);
                }
            }
        }
        self.check()
    }

    /// A message that may occur once: where it occurs again, all that it has had is copied.
    fn merge(&mut self, number: u32, len: usize, own_parts: usize) {
        let own = self.parts.get_mut(own_parts..).unwrap_or_default();
        match own.iter_mut().find(|(part, _)| *part == number) {
            None => self.parts.push((number, len)),
            Some((_, before)) => {
                let copied = std::mem::take(before) + len;
                self.add(2 * copied);
            }
        }
    }

    fn add_element(&mut self, field: Field, is_first: bool) {
        self.add_packed(field, 1, is_first);
    }

    fn add_packed(&mut self, field: Field, count: usize, is_first: bool) {
        let first = if is_first && count > 0 {
            field.first
        } else {
            0
        };
        self.add(count.saturating_mul(field.each).saturating_add(first));
    }

    fn add(&mut self, len: usize) {
        self.total = self.total.saturating_add(len);
    }

    fn check(&self) -> Result<(), Stop> {
        if self.total > self.max {
            return Err(Stop);
        }
        Ok(())
    }
}

/// A varint of at most ten bytes, and what follows it. What it exceeds 64 bits by is not looked at.
#[inline]
fn varint(bytes: &[u8]) -> Result<(u64, &[u8]), Stop> {
    if let [byte @ 0..=0x7f, rest @ ..] = bytes {
        return Ok((u64::from(*byte), rest));
    }
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok((value, bytes.get(index + 1..).unwrap_or_default()));
        }
    }
    Err(Stop)
}

//! `Duration` and `SystemTime` as the well-known types of protobuf.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prost::encoding::WireType;

use super::reader::expect;
use super::{Describe, Field, Malformed, Plain, Reader, Registry, ValueType};
use crate::body::integer::low_32;
use msip_schema::{FieldType, TypeName};

const NANOS_PER_SECOND: u32 = 1_000_000_000;

/// `google.protobuf.Duration`. More than 2^63 seconds are truncated to that; a negative duration is refused.
#[diagnostic::do_not_recommend]
impl Describe for Duration {
    const FIELDS: &'static [(&'static str, u32, bool)] =
        &[("seconds", 1, true), ("nanos", 2, true)];

    fn describe(_: &mut Registry) -> ValueType {
        well_known("google.protobuf.Duration")
    }

    fn encoded_len(&self) -> usize {
        parts_of(*self).len()
    }

    fn encode(&self, buffer: &mut Vec<u8>) {
        parts_of(*self).encode(buffer);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let Seconds { seconds, nanos } = Seconds::read(reader)?;
        match (u64::try_from(seconds), u32::try_from(nanos)) {
            (Ok(seconds), Ok(nanos)) if nanos < NANOS_PER_SECOND => Ok(Self::new(seconds, nanos)),
            _ => Err(Malformed::new(format!(
                "duration of {seconds} s and {nanos} ns: expected neither a negative value nor a fraction of a second or more"
            ))),
        }
    }
}

/// `google.protobuf.Timestamp`. A time that the platform cannot represent is refused.
#[diagnostic::do_not_recommend]
impl Describe for SystemTime {
    const FIELDS: &'static [(&'static str, u32, bool)] =
        &[("seconds", 1, true), ("nanos", 2, true)];

    fn describe(_: &mut Registry) -> ValueType {
        well_known("google.protobuf.Timestamp")
    }

    fn encoded_len(&self) -> usize {
        since_epoch(*self).len()
    }

    fn encode(&self, buffer: &mut Vec<u8>) {
        since_epoch(*self).encode(buffer);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let Seconds { seconds, nanos } = Seconds::read(reader)?;
        let whole = Duration::from_secs(seconds.unsigned_abs());
        let whole = if seconds < 0 {
            UNIX_EPOCH.checked_sub(whole)
        } else {
            UNIX_EPOCH.checked_add(whole)
        };
        let fraction = u32::try_from(nanos)
            .ok()
            .filter(|nanos| *nanos < NANOS_PER_SECOND)
            .map(|nanos| Duration::new(0, nanos));
        match (whole, fraction) {
            (Some(whole), Some(fraction)) => whole.checked_add(fraction),
            _ => None,
        }
        .ok_or_else(|| {
            Malformed::new(format!(
                "time of {seconds} s and {nanos} ns is out of range"
            ))
        })
    }
}

fn well_known(name: &str) -> ValueType {
    ValueType::new(FieldType::Message(TypeName::new(name)))
}

/// The fields of both messages.
#[derive(Debug, Clone, Copy, Default)]
struct Seconds {
    seconds: i64,
    nanos: i32,
}

fn parts_of(duration: Duration) -> Seconds {
    Seconds {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: nanos_of(duration),
    }
}

/// The fraction, which is less than a billion and so fits.
fn nanos_of(duration: Duration) -> i32 {
    i32::try_from(duration.subsec_nanos()).unwrap_or_default()
}

/// The fraction counts forward, also before 1970.
fn since_epoch(time: SystemTime) -> Seconds {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => parts_of(after),
        Err(before) => {
            let before = before.duration();
            let seconds = i64::try_from(before.as_secs()).map_or(i64::MIN, |seconds| -seconds);
            match nanos_of(before) {
                0 => Seconds { seconds, nanos: 0 },
                nanos => Seconds {
                    seconds: seconds.saturating_sub(1),
                    nanos: 1_000_000_000 - nanos,
                },
            }
        }
    }
}

impl Seconds {
    fn len(self) -> usize {
        Field::<Plain>::len(&self.seconds, 1) + Field::<Plain>::len(&self.nanos, 2)
    }

    fn encode(self, buffer: &mut Vec<u8>) {
        Field::<Plain>::encode(&self.seconds, 1, buffer);
        Field::<Plain>::encode(&self.nanos, 2, buffer);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut read = Self::default();
        while let Some(key) = reader.key()? {
            match key.number() {
                1 => {
                    expect(WireType::Varint, key.wire())?;
                    read.seconds = reader.varint()?.cast_signed();
                }
                2 => {
                    expect(WireType::Varint, key.wire())?;
                    read.nanos = low_32(reader.varint()?).cast_signed();
                }
                _ => reader.skip(key)?,
            }
        }
        Ok(read)
    }
}

//! Well-known types with a JSON form of their own, from protobuf to a tree.

use prost::Message as _;
use prost_types::{Duration, FieldMask, Timestamp};

use super::{Decoder, FieldRange};
use crate::body::{
    descriptor_pool::{MessageDescriptor, WellKnown},
    tree::{
        TreeError, TreeWriter, text_form,
        wire_value::{WireValue, malformed, utf8},
    },
};

impl<'s, 'a, W: TreeWriter> Decoder<'s, 'a, W> {
    pub(super) fn well_known(
        &mut self,
        well_known: WellKnown,
        message: &'s MessageDescriptor,
        bytes: &'a [u8],
    ) -> Result<(), TreeError> {
        let text = match well_known {
            WellKnown::Timestamp => {
                let timestamp = Timestamp::decode(bytes).map_err(malformed)?;
                text_form::timestamp_text(&timestamp)
                    .ok_or_else(|| TreeError::new("a Timestamp outside the years 1 to 9999"))?
            }
            WellKnown::Duration => {
                let duration = Duration::decode(bytes).map_err(malformed)?;
                text_form::duration_text(&duration).ok_or_else(|| {
                    TreeError::new(
                        "a Duration over 10,000 years, or with seconds and nanos of different sign",
                    )
                })?
            }
            WellKnown::FieldMask => {
                let mask = FieldMask::decode(bytes).map_err(malformed)?;
                text_form::field_mask_text(&mask.paths)
                    .ok_or_else(|| TreeError::new("a FieldMask path that has no camel case form"))?
            }
            WellKnown::Any => return self.any(message, bytes),
            WellKnown::Struct | WellKnown::ListValue | WellKnown::Value | WellKnown::Wrapper => {
                let run = self.scan(message, bytes)?;
                let start = run.start;
                self.dynamic(well_known, message, run)?;
                self.found.truncate(start);
                return Ok(());
            }
        };
        self.writer.text(&text);
        Ok(())
    }

    /// The types that represent JSON values, and the wrappers of scalars.
    fn dynamic(
        &mut self,
        well_known: WellKnown,
        message: &'s MessageDescriptor,
        run: FieldRange,
    ) -> Result<(), TreeError> {
        if well_known != WellKnown::Value {
            return match message.fields.first() {
                Some(field) => self.field(field, run),
                None => Ok(()),
            };
        }
        let found = self.found.get(run).and_then(<[_]>::last);
        let Some((field, raw)) =
            found.and_then(|&(index, raw)| Some((message.fields.get(index)?, raw)))
        else {
            return Err(TreeError::new("a Value without a value"));
        };
        if let WireValue::Fixed64(bytes) = raw
            && !f64::from_le_bytes(bytes).is_finite()
        {
            return Err(TreeError::new("a Value that is not finite"));
        }
        self.value(field.kind, raw)
    }

    /// An `Any`: the fields of the message in it, and its `@type`.
    fn any(&mut self, message: &'s MessageDescriptor, bytes: &'a [u8]) -> Result<(), TreeError> {
        let outer = self.scan(message, bytes)?;
        let (mut url, mut value): (&str, &[u8]) = ("", &[]);
        for &(index, raw) in self.found.get(outer.clone()).unwrap_or_default() {
            match (message.fields.get(index).map(|field| field.number), raw) {
                (Some(1), WireValue::Len(bytes)) => url = utf8(bytes)?,
                (Some(2), WireValue::Len(bytes)) => value = bytes,
                _ => {}
            }
        }
        self.found.truncate(outer.start);
        self.enter()?;
        if url.is_empty() && value.is_empty() {
            self.writer.begin_map(0);
            self.writer.end_map();
            self.depth -= 1;
            return Ok(());
        }
        let id = self
            .pool
            .type_of_url(url)
            .ok_or_else(|| TreeError::unknown_any(url))?;
        let inner = self.pool.message(id);
        if inner.well_known.is_some() {
            self.writer.begin_map(2);
            self.writer.key("@type");
            self.writer.text(url);
            self.writer.key("value");
            self.message(id, value)?;
            self.writer.end_map();
            self.depth -= 1;
            return Ok(());
        }
        let run = self.scan(inner, value)?;
        self.writer.begin_map(1 + self.count_fields(run.clone()));
        self.writer.key("@type");
        self.writer.text(url);
        self.fields(inner, run.clone())?;
        self.writer.end_map();
        self.leave(run);
        Ok(())
    }
}

//! The JSON writer: without white space.

use std::io::Write as _;

use super::base64;
use crate::body::tree::TreeWriter;

/// Appends JSON to a buffer.
#[derive(Debug)]
pub(in crate::body) struct JsonWriter<'a> {
    out: &'a mut Vec<u8>,
    /// Whether the next value or key follows another.
    needs_comma: bool,
}

impl<'a> JsonWriter<'a> {
    pub(in crate::body) fn new(out: &'a mut Vec<u8>) -> Self {
        Self {
            out,
            needs_comma: false,
        }
    }

    /// Writes the comma before a value, if it follows another.
    fn separate(&mut self) {
        if std::mem::replace(&mut self.needs_comma, true) {
            self.out.push(b',');
        }
    }

    fn write(&mut self, value: std::fmt::Arguments<'_>) {
        self.separate();
        self.append(value);
    }

    fn append(&mut self, value: std::fmt::Arguments<'_>) {
        let written = self.out.write_fmt(value);
        debug_assert!(written.is_ok(), "a vector takes everything");
    }

    /// Writes an integer; the formatter of the standard library takes several times as long.
    fn digits(&mut self, is_negative: bool, mut value: u64) {
        if is_negative {
            self.out.push(b'-');
        }
        let start = self.out.len();
        loop {
            let [digit, ..] = (value % 10).to_le_bytes();
            self.out.push(b'0' + digit);
            value /= 10;
            if value == 0 {
                break;
            }
        }
        if let Some(digits) = self.out.get_mut(start..) {
            digits.reverse();
        }
    }

    fn quote(&mut self, text: &str) {
        self.out.push(b'"');
        let mut rest = text;
        while let Some(at) = rest
            .bytes()
            .position(|byte| byte < 0x20 || byte == b'"' || byte == b'\\')
        {
            let (unescaped, from) = rest.split_at(at);
            self.out.extend_from_slice(unescaped.as_bytes());
            let mut characters = from.chars();
            match characters.next() {
                Some('\n') => self.out.extend_from_slice(b"\\n"),
                Some('\r') => self.out.extend_from_slice(b"\\r"),
                Some('\t') => self.out.extend_from_slice(b"\\t"),
                Some(character @ ('"' | '\\')) => self.append(format_args!("\\{character}")),
                Some(control) => self.append(format_args!("\\u{:04x}", u32::from(control))),
                None => {}
            }
            rest = characters.as_str();
        }
        self.out.extend_from_slice(rest.as_bytes());
        self.out.push(b'"');
    }

    fn begin(&mut self, bracket: u8) {
        self.separate();
        self.out.push(bracket);
        self.needs_comma = false;
    }

    fn end(&mut self, bracket: u8) {
        self.out.push(bracket);
        self.needs_comma = true;
    }
}

impl TreeWriter for JsonWriter<'_> {
    fn null(&mut self) {
        self.write(format_args!("null"));
    }

    fn boolean(&mut self, value: bool) {
        self.write(format_args!("{value}"));
    }

    fn int(&mut self, value: i64) {
        self.separate();
        self.digits(value < 0, value.unsigned_abs());
    }

    // As a string, since many readers have only 53 bits for a number.
    fn int64(&mut self, value: i64) {
        self.separate();
        self.out.push(b'"');
        self.digits(value < 0, value.unsigned_abs());
        self.out.push(b'"');
    }

    fn uint64(&mut self, value: u64) {
        self.separate();
        self.out.push(b'"');
        self.digits(false, value);
        self.out.push(b'"');
    }

    fn float(&mut self, value: f32) {
        if value.is_finite() {
            // The shortest digits that identify the number.
            self.write(format_args!("{value:?}"));
        } else {
            self.double(value.into());
        }
    }

    fn double(&mut self, value: f64) {
        if value.is_nan() {
            self.write(format_args!("\"NaN\""));
        } else if value.is_infinite() {
            let sign = if value < 0.0 { "-" } else { "" };
            self.write(format_args!("\"{sign}Infinity\""));
        } else {
            self.write(format_args!("{value:?}"));
        }
    }

    fn text(&mut self, value: &str) {
        self.separate();
        self.quote(value);
    }

    fn bytes(&mut self, value: &[u8]) {
        self.separate();
        self.out.push(b'"');
        base64::encode(value, self.out);
        self.out.push(b'"');
    }

    fn begin_map(&mut self, _len: usize) {
        self.begin(b'{');
    }

    fn key(&mut self, key: &str) {
        self.separate();
        self.quote(key);
        self.out.push(b':');
        self.needs_comma = false;
    }

    fn end_map(&mut self) {
        self.end(b'}');
    }

    fn begin_array(&mut self, _len: usize) {
        self.begin(b'[');
    }

    fn end_array(&mut self) {
        self.end(b']');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_compact_and_escaped() {
        let mut out = Vec::new();
        let mut writer = JsonWriter::new(&mut out);
        writer.begin_map(4);
        writer.key("a\"b");
        writer.text("tab\t \u{1} é \\ \u{7f}");
        writer.key("n");
        writer.begin_array(7);
        writer.int(-1);
        writer.int64(i64::MIN);
        writer.uint64(u64::MAX);
        writer.double(1e300);
        writer.float(0.1);
        writer.double(f64::NAN);
        writer.float(f32::NEG_INFINITY);
        writer.end_array();
        writer.key("e");
        writer.begin_map(0);
        writer.end_map();
        writer.key("b");
        writer.bytes(&[0xff, 0xee]);
        writer.end_map();
        let expected = r#"{"a\"b":"tab\t \u0001 é \\ "#.to_owned()
            + "\u{7f}"
            + r#"","n":[-1,"-9223372036854775808","18446744073709551615",1e300,0.1,"NaN","-Infinity"],"e":{},"b":"/+4="}"#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}

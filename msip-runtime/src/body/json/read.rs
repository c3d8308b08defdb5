//! The JSON reader: strictly RFC 8259.

use std::borrow::Cow;

use super::base64;
use crate::body::tree::{MAX_DEPTH, Node, TreeError, TreeReader, number_of_text};

/// Reads JSON from a body. Strings without escapes are not copied.
#[derive(Debug, Clone, Copy)]
pub(in crate::body) struct JsonReader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    /// Whether the innermost object or array has just begun.
    is_first: bool,
}

impl<'a> JsonReader<'a> {
    pub(in crate::body) fn new(body: &'a [u8]) -> Result<Self, TreeError> {
        let text = std::str::from_utf8(body).map_err(|error| {
            TreeError::new(format!(
                "invalid JSON at byte {}: not UTF-8",
                error.valid_up_to()
            ))
        })?;
        Ok(Self {
            text,
            at: 0,
            depth: 0,
            is_first: false,
        })
    }

    /// What was not read.
    pub(in crate::body) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn error(&self, expected: &str) -> TreeError {
        let at = self.at;
        match self.rest().chars().next() {
            Some(found) => TreeError::new(format!(
                "invalid JSON at byte {at}: expected {expected}, found {}",
                found.escape_debug()
            )),
            None => TreeError::new(format!(
                "invalid JSON at byte {at}: expected {expected}, found the end"
            )),
        }
    }

    /// The next byte that is not white space, without consuming it.
    fn peek(&mut self) -> Option<u8> {
        let rest = self.rest().as_bytes();
        let blank = rest
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
            .count();
        self.at += blank;
        rest.get(blank).copied()
    }

    fn take(&mut self, byte: u8, expected: &str) -> Result<(), TreeError> {
        if self.peek() != Some(byte) {
            return Err(self.error(expected));
        }
        self.at += 1;
        Ok(())
    }

    fn open(&mut self) -> Result<(), TreeError> {
        self.at += 1;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(TreeError::too_deep());
        }
        self.is_first = true;
        Ok(())
    }

    /// Whether another key or element follows; consumes the comma before it, or the closing bracket.
    fn has_next(&mut self, bracket: u8, expected: &str) -> Result<bool, TreeError> {
        let is_first = std::mem::replace(&mut self.is_first, false);
        match self.peek() {
            Some(byte) if byte == bracket => {
                self.at += 1;
                self.depth = self.depth.saturating_sub(1);
                Ok(false)
            }
            Some(_) if is_first => Ok(true),
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            _ => Err(self.error(expected)),
        }
    }

    fn word(&mut self, word: &str, node: Node<'a>) -> Result<Node<'a>, TreeError> {
        if !self.rest().starts_with(word) {
            return Err(self.error("a value"));
        }
        self.at += word.len();
        Ok(node)
    }

    fn number(&mut self) -> Result<Node<'a>, TreeError> {
        let rest = self.rest();
        let is_of_number =
            |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let len = rest.bytes().take_while(is_of_number).count();
        let node = rest.get(..len).and_then(number_of_text);
        let node = node.ok_or_else(|| self.error("a number within the range of a double"))?;
        self.at += len;
        Ok(node)
    }

    fn string(&mut self) -> Result<Cow<'a, str>, TreeError> {
        self.take(b'"', "a string")?;
        let mut text = Cow::Borrowed("");
        loop {
            let rest = self.rest();
            let len = rest
                .bytes()
                .take_while(|byte| *byte >= 0x20 && *byte != b'"' && *byte != b'\\')
                .count();
            // Both ends are next to ASCII, so no character is cut.
            let unescaped = rest.get(..len).unwrap_or_default();
            if text.is_empty() {
                text = Cow::Borrowed(unescaped);
            } else {
                text.to_mut().push_str(unescaped);
            }
            self.at += len;
            match rest.as_bytes().get(len) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => {
                    self.at += 1;
                    let character = self.escape()?;
                    text.to_mut().push(character);
                }
                _ => return Err(self.error("the rest of a string")),
            }
        }
    }

    /// The rest of an escape, after the backslash.
    fn escape(&mut self) -> Result<char, TreeError> {
        let Some(letter) = self.rest().bytes().next() else {
            return Err(self.error("an escape"));
        };
        let character = match letter {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.at += 1;
                return self.unicode();
            }
            _ => return Err(self.error("an escape")),
        };
        self.at += 1;
        Ok(character)
    }

    /// Four hexadecimal digits, or a surrogate pair of two escapes.
    fn unicode(&mut self) -> Result<char, TreeError> {
        let high = self.hex()?;
        if let Some(character) = char::from_u32(high) {
            return Ok(character);
        }
        if (0xd800..0xdc00).contains(&high) && self.rest().starts_with("\\u") {
            self.at += 2;
            let low = self.hex()?;
            if (0xdc00..0xe000).contains(&low)
                && let Some(character) =
                    char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00))
            {
                return Ok(character);
            }
        }
        Err(self.error("the second half of a surrogate pair"))
    }

    fn hex(&mut self) -> Result<u32, TreeError> {
        let digits = self
            .rest()
            .get(..4)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let number = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let number = number.ok_or_else(|| self.error("four hexadecimal digits"))?;
        self.at += 4;
        Ok(number)
    }
}

impl<'a> TreeReader<'a> for JsonReader<'a> {
    fn value(&mut self) -> Result<Node<'a>, TreeError> {
        match self.peek() {
            Some(b'{') => self.open().map(|()| Node::Map),
            Some(b'[') => self.open().map(|()| Node::Array),
            Some(b'"') => self.string().map(Node::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Node::Bool(true)),
            Some(b'f') => self.word("false", Node::Bool(false)),
            Some(b'n') => self.word("null", Node::Null),
            _ => Err(self.error("a value")),
        }
    }

    fn key(&mut self) -> Result<Option<Cow<'a, str>>, TreeError> {
        if !self.has_next(b'}', "a comma or the end of an object")? {
            return Ok(None);
        }
        self.peek();
        let key = self.string()?;
        self.take(b':', "a colon")?;
        Ok(Some(key))
    }

    fn element(&mut self) -> Result<bool, TreeError> {
        self.has_next(b']', "a comma or the end of an array")
    }

    fn bytes_of<'n>(node: &'n Node<'a>) -> Result<Cow<'n, [u8]>, TreeError> {
        let bytes = match node {
            Node::Text(text) => base64::decode(text.as_bytes()),
            _ => None,
        };
        bytes
            .map(Cow::Owned)
            .ok_or_else(|| TreeError::expected("base64", node))
    }

    fn finish(mut self) -> Result<(), TreeError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.error("the end")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads everything, and formats it.
    fn read(json: &[u8]) -> Result<String, TreeError> {
        fn describe(reader: &mut JsonReader<'_>) -> Result<String, TreeError> {
            Ok(match reader.value()? {
                Node::Map => {
                    let mut parts = Vec::new();
                    while let Some(key) = reader.key()? {
                        parts.push(format!("{key}={}", describe(reader)?));
                    }
                    format!("{{{}}}", parts.join(" "))
                }
                Node::Array => {
                    let mut parts = Vec::new();
                    while reader.element()? {
                        parts.push(describe(reader)?);
                    }
                    format!("[{}]", parts.join(" "))
                }
                Node::Text(text) => format!("{text:?}"),
                node => format!("{node}"),
            })
        }
        let mut reader = JsonReader::new(json)?;
        let text = describe(&mut reader)?;
        reader.finish()?;
        Ok(text)
    }

    #[test]
    fn json_is_read() {
        let cases = [
            (" { } ", "{}"),
            ("[ ]", "[]"),
            (
                r#"{"a" : [1 , -2.5e+3,true],"b":null}"#,
                "{a=[1 -2500.0 true] b=null}",
            ),
            (
                r#""\u00e9\ud83d\ude00\"\\\/\b\f\n\r\t é""#,
                r#""é😀\"\\/\u{8}\u{c}\n\r\t é""#,
            ),
            ("9223372036854775807", "9223372036854775807"),
            ("18446744073709551615", "18446744073709551615"),
            ("18446744073709551616", "1.8446744073709552e19"),
            ("-0", "0"),
            ("1E2", "100.0"),
        ];
        for (json, expected) in cases {
            assert_eq!(read(json.as_bytes()).as_deref(), Ok(expected), "{json}");
        }
    }

    #[test]
    fn invalid_json_is_refused_with_its_position() {
        let cases: [(&[u8], &str); 24] = [
            (
                b"",
                "invalid JSON at byte 0: expected a value, found the end",
            ),
            (
                b"{",
                "invalid JSON at byte 1: expected a comma or the end of an object, found the end",
            ),
            (
                b"{\"a\"}",
                "invalid JSON at byte 4: expected a colon, found }",
            ),
            (
                b"{\"a\":1,}",
                "invalid JSON at byte 7: expected a string, found }",
            ),
            (b"{,}", "invalid JSON at byte 1: expected a string, found ,"),
            (
                b"[1 2]",
                "invalid JSON at byte 3: expected a comma or the end of an array, found 2",
            ),
            (b"[1,]", "invalid JSON at byte 3: expected a value, found ]"),
            (b"[,]", "invalid JSON at byte 1: expected a value, found ,"),
            (b"[}", "invalid JSON at byte 1: expected a value, found }"),
            (b"1 1", "invalid JSON at byte 2: expected the end, found 1"),
            (b"tru", "invalid JSON at byte 0: expected a value, found t"),
            (b"NaN", "invalid JSON at byte 0: expected a value, found N"),
            (
                b"01",
                "invalid JSON at byte 0: expected a number within the range of a double, found 0",
            ),
            (
                b"1.",
                "invalid JSON at byte 0: expected a number within the range of a double, found 1",
            ),
            (
                b"1e",
                "invalid JSON at byte 0: expected a number within the range of a double, found 1",
            ),
            (
                b"-",
                "invalid JSON at byte 0: expected a number within the range of a double, found -",
            ),
            (
                b"1e999",
                "invalid JSON at byte 0: expected a number within the range of a double, found 1",
            ),
            (
                b"\"a\nb\"",
                "invalid JSON at byte 2: expected the rest of a string, found \\n",
            ),
            (
                b"\"\\x\"",
                "invalid JSON at byte 2: expected an escape, found x",
            ),
            (
                b"\"\\u12",
                "invalid JSON at byte 3: expected four hexadecimal digits, found 1",
            ),
            (
                b"\"\\ud800\"",
                "invalid JSON at byte 7: expected the second half of a surrogate pair, found \\\"",
            ),
            (
                b"\"\\ud800\\u0041\"",
                "invalid JSON at byte 13: expected the second half of a surrogate pair, found \\\"",
            ),
            (
                b"\"abc",
                "invalid JSON at byte 4: expected the rest of a string, found the end",
            ),
            (b"\"\xff\"", "invalid JSON at byte 1: not UTF-8"),
        ];
        for (json, expected) in cases {
            let error = read(json).expect_err(expected).to_string();
            assert_eq!(error, expected, "{}", String::from_utf8_lossy(json));
        }
    }

    #[test]
    fn nesting_stops_at_the_limit() {
        let nested = |depth| ["[".repeat(depth), "]".repeat(depth)].concat();
        assert!(read(nested(MAX_DEPTH).as_bytes()).is_ok());
        for depth in [MAX_DEPTH + 1, 10_000, 1_000_000] {
            assert_eq!(
                read(nested(depth).as_bytes()),
                Err(TreeError::too_deep()),
                "{depth}"
            );
        }
    }
}

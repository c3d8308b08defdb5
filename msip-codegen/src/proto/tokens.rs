//! Tokens of a schema's text, for what is read or corrected before the parser runs.

use std::ops::Range;

use super::guard::{block_len, line_len, string_len};

/// A token: a word or a number, a string with its quotes, or one other character. Comments and blanks are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) bytes: Range<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Word,
    String,
    /// The first byte of the character.
    Mark(u8),
}

impl Token {
    pub(crate) fn text<'a>(&self, text: &'a str) -> &'a str {
        text.get(self.bytes.clone()).unwrap_or("")
    }

    pub(crate) fn is(&self, mark: u8) -> bool {
        self.kind == TokenKind::Mark(mark)
    }
}

/// Splits a text into tokens.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let rest = bytes.get(at..).unwrap_or_default();
        let (kind, len) = match byte {
            _ if byte.is_ascii_whitespace() => (None, 1),
            b'/' if rest.starts_with(b"//") => (None, line_len(rest)),
            b'/' if rest.starts_with(b"/*") => (None, block_len(rest)),
            b'"' | b'\'' => (Some(TokenKind::String), string_len(rest)),
            _ if is_word(byte) => {
                let len = rest.iter().position(|&byte| !is_word(byte));
                (Some(TokenKind::Word), len.unwrap_or(rest.len()))
            }
            _ => {
                let len = text.get(at..).and_then(|rest| rest.chars().next());
                (Some(TokenKind::Mark(byte)), len.map_or(1, char::len_utf8))
            }
        };
        if let Some(kind) = kind {
            let bytes = at..at + len;
            found.push(Token { kind, bytes });
        }
        at += len;
    }
    found
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The name of the message in which a byte lies, and whether that message is declared at the top of its file.
pub(crate) fn enclosing_message(text: &str, at: usize) -> Option<(&str, bool)> {
    let tokens = tokens(text);
    // For each open brace, the name of the message that it begins.
    let mut open: Vec<Option<&str>> = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        if token.bytes.start >= at {
            break;
        }
        if token.is(b'{') {
            let before = index
                .checked_sub(2)
                .and_then(|first| tokens.get(first..index));
            open.push(match before {
                Some([word, name]) if word.text(text) == "message" => Some(name.text(text)),
                _ => None,
            });
        } else if token.is(b'}') {
            open.pop();
        }
    }
    let mut messages = open.into_iter().flatten().rev();
    let name = messages.next()?;
    Some((name, messages.next().is_none()))
}

/// The bytes of the first `extend` that extends with nothing, which the parser allows.
pub(crate) fn empty_extend(text: &str) -> Option<Range<usize>> {
    if !text.contains("extend") {
        return None;
    }
    let tokens = tokens(text);
    let mut rest = tokens.as_slice();
    while let Some(start) = rest.iter().position(|token| token.text(text) == "extend") {
        rest = rest.get(start..)?;
        // A name with dots, and nothing between the braces.
        let name_len = 1 + name_len(rest.get(1..).unwrap_or_default());
        if let Some([open, close, ..]) = rest.get(name_len..)
            && name_len > 1
            && open.is(b'{')
            && close.is(b'}')
        {
            return Some(rest.first()?.bytes.start..close.bytes.end);
        }
        // What begins inside of the name ends with it too.
        rest = rest.get(name_len..)?;
    }
    None
}

/// The number of tokens of the name that begins here: words with dots between them, and maybe one in front.
fn name_len(tokens: &[Token]) -> usize {
    let mut wants_word = true;
    let name = |(index, token): &(usize, &Token)| {
        let is_word = token.kind == TokenKind::Word;
        let fits = is_word == wants_word || *index == 0;
        wants_word = !is_word;
        fits && (is_word || token.is(b'.'))
    };
    tokens.iter().enumerate().take_while(name).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_blanks_are_no_tokens() {
        let text = "a_1 /* { */ = \"x;\\\"\" // ;\n\u{a0};";
        let found = tokens(text);
        let texts: Vec<&str> = found.iter().map(|token| token.text(text)).collect();
        assert_eq!(texts, ["a_1", "=", "\"x;\\\"\"", "\u{a0}", ";"]);
    }

    #[test]
    fn the_innermost_message_encloses() {
        let text = "message A { message B { oneof b {} } oneof a {} }\noneof none {}";
        let at = |part: &str| enclosing_message(text, text.find(part).unwrap());
        assert_eq!(at("oneof b"), Some(("B", false)));
        assert_eq!(at("oneof a"), Some(("A", true)));
        assert_eq!(at("oneof none"), None);
    }

    #[test]
    fn an_extension_has_fields() {
        for (text, expected) in [
            ("a extend b.c { /* } */ } d", Some(2..24)),
            ("extend a { int32 b = 1; } extend c {}", Some(26..37)),
            ("extend a { int32 extend = 1; }", None),
            ("message extend {}", None),
        ] {
            assert_eq!(empty_extend(text), expected, "{text}");
        }
    }
}

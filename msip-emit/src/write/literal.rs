//! Literals of strings and numbers.

use std::fmt::Write as _;

/// How a language writes a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StringLiterals {
    /// The mark at both ends.
    pub quote: char,
    /// How a character is written that cannot appear as itself.
    pub code: CodeEscape,
    /// Characters that the language reads in a way of its own inside of strings, such as `$` in templates: they get a
    /// backslash too.
    pub special: &'static [char],
}

/// How a language writes a character by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeEscape {
    /// `\u{1f600}`, as in Rust, Swift and current JavaScript.
    Braced,
    /// `\u0007`, and `\U0001f600` beyond 16 bits, as in Python, C and Go.
    Fixed,
    /// `\u0007`, and a pair of surrogates beyond 16 bits, as in JSON, Java and Kotlin.
    Surrogates,
}

impl StringLiterals {
    /// The literal of a text.
    #[must_use]
    pub fn literal(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len() + 2);
        out.push(self.quote);
        for c in text.chars() {
            match c {
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                c if c == '\\' || c == self.quote || self.special.contains(&c) => {
                    out.extend(['\\', c]);
                }
                c if needs_code(c) => self.code.push(c, &mut out),
                c => out.push(c),
            }
        }
        out.push(self.quote);
        out
    }
}

/// Control characters, line ends that only some languages know, and marks that change the direction of text.
fn needs_code(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{2028}' | '\u{2029}' | '\u{feff}'
            | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl CodeEscape {
    fn push(self, c: char, out: &mut String) {
        let number = u32::from(c);
        // Writing into a String cannot fail.
        let _ = match self {
            Self::Braced => write!(out, "\\u{{{number:x}}}"),
            Self::Fixed if number > 0xffff => write!(out, "\\U{number:08x}"),
            Self::Fixed => write!(out, "\\u{number:04x}"),
            Self::Surrogates => c
                .encode_utf16(&mut [0; 2])
                .iter()
                .try_for_each(|unit| write!(out, "\\u{unit:04x}")),
        };
    }
}

/// An integer in decimal, five and more digits in groups of three: `12_345`.
#[must_use]
pub fn grouped_digits(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        let left = digits.len() - index;
        if index > 0 && left.is_multiple_of(3) && digits.len() > 4 {
            text.push('_');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_by_the_rules_of_their_language() {
        let rust = StringLiterals {
            quote: '"',
            code: CodeEscape::Braced,
            special: &[],
        };
        let python = StringLiterals {
            code: CodeEscape::Fixed,
            ..rust
        };
        let template = StringLiterals {
            quote: '`',
            code: CodeEscape::Surrogates,
            special: &['$'],
        };
        for (style, text, literal) in [
            (rust, "", r#""""#),
            (rust, "a \"b\" 'c' \\ ${d}", r#""a \"b\" 'c' \\ ${d}""#),
            (
                rust,
                "\n\r\t\u{7}\u{202e}é😀",
                r#""\n\r\t\u{7}\u{202e}é😀""#,
            ),
            (python, "\u{7}\u{2028}", r#""\u0007\u2028""#),
            (template, "`${a}` \"b\"\u{1}", r#"`\`\${a}\` "b"\u0001`"#),
        ] {
            assert_eq!(style.literal(text), literal, "{text:?}");
        }
    }

    #[test]
    fn characters_beyond_16_bits_have_long_codes() {
        for (code, text) in [
            (CodeEscape::Braced, r"\u{1f600}"),
            (CodeEscape::Fixed, r"\U0001f600"),
            (CodeEscape::Surrogates, r"\ud83d\ude00"),
        ] {
            let mut out = String::new();
            code.push('😀', &mut out);
            assert_eq!(out, text);
        }
    }

    #[test]
    fn long_numbers_are_grouped() {
        for (value, text) in [
            (0, "0"),
            (999, "999"),
            (5_000, "5000"),
            (12_345, "12_345"),
            (4_294_967_295, "4_294_967_295"),
        ] {
            assert_eq!(grouped_digits(value), text);
        }
    }
}

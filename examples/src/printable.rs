//! Text from somewhere else, for a terminal.

/// A body as text that does nothing to a terminal: what is no text, or controls one, is replaced.
#[must_use]
pub fn printable(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    text.replace(char::is_control, "\u{fffd}")
}

//! Errors, which FlyRPC says by one text: as a code and a text of MSIP, and back.

use msip_session::wire::{Code, ErrorText};

use super::packet::MAX_CODE;
use crate::status::HANDLER_PANICKED;

/// What a handler's panic is called.
const PANIC: &str = "HANDLER_PANIC";

/// What a caller's time limit is called.
const TIMEOUT: &str = "TIMEOUT";

/// The text for an ERROR of this side: the name of its code, or for `UNKNOWN` its text, so that a handler can say any code.
pub(super) fn code_of(error: &ErrorText) -> &str {
    match error.code {
        Code::Internal if error.message == HANDLER_PANICKED => PANIC,
        Code::Unknown => {
            let text = error.message.split('\0').next().unwrap_or_default();
            let end = (0..=MAX_CODE.min(text.len()))
                .rev()
                .find(|end| text.is_char_boundary(*end));
            match text.get(..end.unwrap_or(0)) {
                None | Some("") => Code::Unknown.name(),
                Some(text) => text,
            }
        }
        code => code.name(),
    }
}

/// The ERROR for a text of the peer.
pub(super) fn error_of(text: &[u8]) -> ErrorText {
    let text = String::from_utf8_lossy(text).into_owned();
    let code = match &*text {
        PANIC => Code::Internal,
        TIMEOUT => Code::DeadlineExceeded,
        _ => match Code::from_name(&text) {
            Some(code) if code != Code::Unknown => {
                return ErrorText {
                    code,
                    message: "the peer says no more".to_owned(),
                };
            }
            _ => Code::Unknown,
        },
    };
    ErrorText {
        code,
        message: text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: Code, message: &str) -> ErrorText {
        ErrorText {
            code,
            message: message.to_owned(),
        }
    }

    #[test]
    fn an_error_is_said_by_its_code_or_by_a_text_of_its_own() {
        let long = "\u{fc}".repeat(200);
        for (said, expected) in [
            (error(Code::NotFound, "no such room"), "NOT_FOUND"),
            (error(Code::Internal, "broken"), "INTERNAL"),
            (error(Code::Internal, HANDLER_PANICKED), "HANDLER_PANIC"),
            (error(Code::Unknown, "E_FOO"), "E_FOO"),
            (error(Code::Unknown, "E_FOO\0more"), "E_FOO"),
            (error(Code::Unknown, ""), "UNKNOWN"),
            (error(Code::Unknown, "\0"), "UNKNOWN"),
            (error(Code::Unknown, &long), &long[..254]),
        ] {
            assert_eq!(code_of(&said), expected, "{said}");
        }
    }

    #[test]
    fn a_text_becomes_an_error() {
        for (text, expected) in [
            (&b"E_FOO"[..], error(Code::Unknown, "E_FOO")),
            (b"NOT_FOUND", error(Code::NotFound, "the peer says no more")),
            (b"HANDLER_PANIC", error(Code::Internal, "HANDLER_PANIC")),
            (b"TIMEOUT", error(Code::DeadlineExceeded, "TIMEOUT")),
            (b"UNKNOWN", error(Code::Unknown, "UNKNOWN")),
            (b"\xff", error(Code::Unknown, "\u{fffd}")),
            // Only of this side's session is that a statement about the call.
            (
                b"UNAVAILABLE: not accepted",
                error(Code::Unknown, "UNAVAILABLE: not accepted"),
            ),
        ] {
            assert_eq!(error_of(text), expected, "{text:?}");
        }
    }
}

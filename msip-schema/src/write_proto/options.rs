//! The options of a member, as far as its name does not imply them.

use super::text::quoted;
use crate::words::{response_words, words};
use crate::{Compression, Direction, Exchange, Member, MsgKind, Schema};

/// Protobuf's own option, of anything.
pub(super) const DEPRECATED: &str = "deprecated = true";

/// Options in brackets, with a space before them; nothing if there are none.
pub(super) fn bracketed(options: &[String]) -> String {
    if options.is_empty() {
        String::new()
    } else {
        format!(" [{}]", options.join(", "))
    }
}

/// The options of MSIP that a member has.
pub(super) fn of(schema: &Schema, member: &Member) -> Vec<String> {
    let mut options = Vec::new();
    let has_kind = match &member.exchange {
        Exchange::OneWay => {
            if looks_like_a_request(schema, member) {
                options.push("(msip.reply) = NONE".to_owned());
            }
            true
        }
        Exchange::Acknowledged => {
            options.push("(msip.reply) = ACK".to_owned());
            true
        }
        Exchange::Call {
            response,
            request_stream,
            response_stream,
        } => {
            if *request_stream {
                options.push("(msip.request) = STREAM".to_owned());
            }
            if *response_stream {
                options.push("(msip.reply) = STREAM".to_owned());
            }
            if response_words(&member.name).is_none_or(|usual| usual != words(response)) {
                options.push(format!("(msip.response) = {}", quoted(response)));
            }
            false
        }
        Exchange::Answer => false,
    };
    if has_kind && member.kind != MsgKind::by_name(&member.name) {
        options.push(format!("(msip.kind) = {}", member.kind.name()));
    }
    if let Some(timeout) = member.timeout {
        options.push(format!("(msip.timeout_ms) = {}", timeout.as_millis()));
    }
    if member.urgent {
        options.push("(msip.urgent) = true".to_owned());
    }
    if member.compress == Compression::Never {
        options.push("(msip.compress) = false".to_owned());
    }
    if member.idempotent {
        options.push("(msip.idempotent) = true".to_owned());
    }
    if let Some(key) = &member.key {
        options.push(format!("(msip.key) = {}", quoted(key)));
    }
    if let Some(code) = &member.code {
        options.push(format!("(msip.code) = {}", quoted(code)));
    }
    options
}

/// Whether its name alone would make it a call, or a mistake.
fn looks_like_a_request(schema: &Schema, member: &Member) -> bool {
    let Some(usual) = response_words(&member.name) else {
        return false;
    };
    [Direction::ClientToServer, Direction::ServerToClient]
        .into_iter()
        .flat_map(|direction| &schema.envelope(direction).members)
        .any(|other| words(&other.name) == usual)
}

//! Diagnostics of the schema's checks, as errors about attributes.

use msip_schema::Diagnostic;
use proc_macro2::Span;

use crate::errors::Errors;

/// The tokens that the spans of a draft refer to.
#[derive(Default)]
pub(crate) struct SpanTable(Vec<Span>);

impl SpanTable {
    /// A span of the schema for a span of tokens.
    pub(crate) fn add(&mut self, span: Span) -> msip_schema::Span {
        self.0.push(span);
        // Index 0 means no position. No source has 4 billion tokens.
        u32::try_from(self.0.len()).map_or(msip_schema::Span::NONE, msip_schema::Span::new)
    }

    fn get(&self, span: msip_schema::Span) -> Option<Span> {
        let index = usize::try_from(span.index()).ok()?.checked_sub(1)?;
        self.0.get(index).copied()
    }

    /// Reports what the checks found, each at its token; `elsewhere` is for mistakes without one.
    pub(crate) fn report(&self, mistakes: Vec<Diagnostic>, elsewhere: Span, errors: &mut Errors) {
        for mistake in mistakes {
            let mut text = format!("{} [{}]", in_attributes(&mistake.message), mistake.code);
            for other in &mistake.secondary {
                let line = self
                    .get(other.span)
                    // The tokens are those of a macro that is being expanded, where this cannot fail.
                    .map(|span| format!(" (line {})", span.unwrap().line()));
                let line = line.unwrap_or_default();
                text.push_str(&format!("\nnote: {}{line}", in_attributes(&other.text)));
            }
            if let Some(help) = &mistake.help {
                text.push_str(&format!("\nhelp: {}", in_attributes(help)));
            }
            let span = self.get(mistake.primary.span).unwrap_or(elsewhere);
            errors.push(span, text);
        }
    }
}

/// Replaces options of `.proto` files by attributes: `[(msip.kind) = STATE]` becomes `#[msip(kind = STATE)]`.
fn in_attributes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("(msip.") {
        let (before, found) = rest.split_at(at);
        out.push_str(before.strip_suffix('[').unwrap_or(before));
        let found = found.strip_prefix("(msip.").unwrap_or(found);
        // Every option is inside backticks.
        let (option, behind) = found.split_once('`').unwrap_or((found, ""));
        let option = option.trim_end_matches(']').replacen(')', "", 1);
        let option = match option.as_str() {
            "compress = false" | "compress" => "uncompressed".to_owned(),
            "urgent = true" => "urgent".to_owned(),
            "idempotent = true" => "idempotent".to_owned(),
            _ => option,
        };
        out.push_str(&format!("#[msip({option})]`"));
        rest = behind;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_attributes() {
        for (proto, attribute) in [
            ("nothing of ours", "nothing of ours"),
            (
                "write `[(msip.reply) = NONE]` on `a_req`",
                "write `#[msip(reply = NONE)]` on `a_req`",
            ),
            (
                "remove `(msip.key)`, or make it a command with `(msip.kind) = COMMAND`",
                "remove `#[msip(key)]`, or make it a command with `#[msip(kind = COMMAND)]`",
            ),
            (
                "as in `[(msip.response) = \"…\"]`",
                "as in `#[msip(response = \"…\")]`",
            ),
            (
                "`(msip.urgent)` means nothing on `a`",
                "`#[msip(urgent)]` means nothing on `a`",
            ),
        ] {
            assert_eq!(in_attributes(proto), attribute);
        }
    }
}

//! The package, which names the protocol on the wire.

use crate::{Code, Diagnostic, Draft, is_identifier};

/// A topic and a HELLO have one byte for the length of a name, and files are named after it, such as
/// `<package>.descriptors.bin`.
const MAX_LEN: usize = 239;

pub(super) fn check(draft: &Draft, out: &mut Vec<Diagnostic>) {
    let (package, span) = (&draft.package.value, draft.package.span);
    if package.is_empty() {
        out.push(
            Diagnostic::new(
                Code::MISSING_PACKAGE,
                span,
                "the schema has no package, which names the protocol",
            )
            .help("write a package below the syntax line, such as `package chat;`"),
        );
        return;
    }
    if package.len() > MAX_LEN {
        let message = format!(
            "the package is {} bytes long; {MAX_LEN} are allowed",
            package.len()
        );
        out.push(
            Diagnostic::new(Code::PACKAGE_TOO_LONG, span, message)
                .help("choose a shorter name: it is sent whenever a connection begins"),
        );
    }
    if let Some(segment) = package.split('.').find(|segment| !is_identifier(segment)) {
        let message = match segment {
            "" => "the package has a dot too many".to_owned(),
            _ => format!("`{segment}` in the package is not an identifier"),
        };
        out.push(
            Diagnostic::new(Code::INVALID_PACKAGE, span, message)
                .help("write identifiers of ASCII letters, digits and `_` with dots between them, such as `fleet.v1`"),
        );
    }
}

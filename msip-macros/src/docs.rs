//! Doc comments as the schema keeps them.

use syn::{Attribute, Expr, ExprLit, Lit, Meta};

/// The text of all `///` lines, without the space behind the slashes.
pub(crate) fn text(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| {
        let Meta::NameValue(doc) = &attribute.meta else {
            return None;
        };
        let Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) = &doc.value
        else {
            return None;
        };
        doc.path.is_ident("doc").then(|| {
            // A block comment is one attribute of several lines.
            let text = text.value();
            let lines = text
                .lines()
                .map(|line| line.strip_prefix(' ').unwrap_or(line));
            lines.collect::<Vec<_>>().join("\n")
        })
    });
    lines.collect::<Vec<_>>().join("\n")
}

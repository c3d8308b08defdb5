//! Functions of one expression.

use super::doc;
use crate::write::Writer;

/// Writes a function of one expression.
pub(super) fn function(what: &str, signature: &str, expression: &str, out: &mut Writer) {
    out.separate();
    doc::write_or("", what, false, out);
    out.line(format_args!("export function {signature} {{"));
    out.indent();
    out.line(format_args!("return {expression};"));
    out.dedent();
    out.line("}");
}

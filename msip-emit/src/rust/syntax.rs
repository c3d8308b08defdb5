//! Comments and literals of Rust, for code that is written as text.

use crate::write::{CodeEscape, CommentStyle, StringLiterals};

/// `// …`
pub const COMMENT: CommentStyle = CommentStyle {
    open: "",
    line: "// ",
    close: "",
    replace: &[],
};

/// `/// …`
pub const DOC_COMMENT: CommentStyle = CommentStyle {
    line: "/// ",
    ..COMMENT
};

/// `"…"`
pub const STRINGS: StringLiterals = StringLiterals {
    quote: '"',
    code: CodeEscape::Braced,
    special: &[],
};

/// What a level is indented by.
pub const INDENT: &str = "    ";

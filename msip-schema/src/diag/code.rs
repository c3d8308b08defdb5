//! Codes: the stable names of all mistakes.

/// The stable name of a kind of mistake, such as `duplicate-number`; `docs/schema.md` explains each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code {
    name: &'static str,
    meaning: &'static str,
}

impl Code {
    /// The name, which is printed in brackets after `error`.
    pub const fn as_str(self) -> &'static str {
        self.name
    }

    /// What it means, in one line, in lower case and without a final period.
    pub const fn meaning(self) -> &'static str {
        self.meaning
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Declares one constant per code, and `Code::ALL` with all of them, in the order written here.
macro_rules! codes {
    ($($constant:ident = $name:literal, $meaning:literal;)*) => {
        impl Code {
            $(
                #[doc = concat!("`", $name, "`: ", $meaning, ".")]
                pub const $constant: Self = Self { name: $name, meaning: $meaning };
            )*

            /// Every code, grouped as in `docs/schema.md`.
            pub const ALL: &'static [Self] = &[$(Self::$constant),*];
        }
    };
}

// To add a code: a line here, and a heading of the same name in docs/schema.md (a test compares them).
codes! {
    // Files.
    FILE_NOT_FOUND = "file-not-found", "a file given to the compiler is in none of the include folders";
    FILE_UNREADABLE = "file-unreadable", "a file exists but cannot be read";
    FILE_NOT_UTF8 = "file-not-utf8", "a file is not UTF-8 text";
    FILE_NOT_INCLUDED = "file-not-included", "a file given to the compiler lies in no include folder";
    FILE_SHADOWED = "file-shadowed", "another include folder has a file of the same path, which would be read instead";
    FILE_TOO_LARGE = "file-too-large", "a file is larger than a schema may be";
    IMPORT_NOT_FOUND = "import-not-found", "an imported file is in none of the include folders";
    IMPORT_CYCLE = "import-cycle", "files import each other in a circle";

    // The language.
    SYNTAX_ERROR = "syntax-error", "the text is not a .proto file";
    UNSUPPORTED_SYNTAX = "unsupported-syntax", "the file is written in proto2 or in an edition";
    NESTED_TOO_DEEP = "nested-too-deep", "types or text are nested more deeply than a schema may be";
    UNKNOWN_TYPE = "unknown-type", "a type is not defined in this file or in what it imports";
    DUPLICATE_NAME = "duplicate-name", "a name is defined twice in one place";
    DUPLICATE_NUMBER = "duplicate-number", "a number is used twice in one place";
    NUMBER_OUT_OF_RANGE = "number-out-of-range", "a number is outside what the wire can carry";
    NUMBER_RESERVED = "number-reserved", "a number or name is used although it is reserved";
    INVALID_SCHEMA = "invalid-schema", "protobuf forbids what is written, for a reason that has no code of its own";

    // The package.
    MISSING_PACKAGE = "missing-package", "the file has no package, which names the protocol";
    PACKAGE_TOO_LONG = "package-too-long", "the package is longer than 255 bytes";
    INVALID_PACKAGE = "invalid-package", "the package is not made of identifiers with dots between them";

    // The envelopes.
    MISSING_ENVELOPE = "missing-envelope", "ClientToServer or ServerToClient is missing";
    MISSPELT_ENVELOPE = "misspelt-envelope", "a message is almost named ClientToServer or ServerToClient";
    MISSING_ONEOF = "missing-oneof", "an envelope has no oneof";
    SEVERAL_ONEOFS = "several-oneofs", "an envelope has more than one oneof";
    ONEOF_NAME = "oneof-name", "the oneof of an envelope is not named messages";
    FIELD_OUTSIDE_ONEOF = "field-outside-oneof", "an envelope has a field outside of its oneof";
    EMPTY_ENVELOPE = "empty-envelope", "an envelope has no members";
    MEMBER_NOT_MESSAGE = "member-not-message", "a member of an envelope is a scalar or an enum";

    // Names.
    INVALID_NAME = "invalid-name", "a member's name is not an identifier";
    NAME_COLLISION = "name-collision", "two names become the same name in generated code";
    RESERVED_NAME = "reserved-name", "a name is needed by generated code";

    // Options.
    UNKNOWN_OPTION = "unknown-option", "there is no option of this name";
    OPTION_VALUE = "option-value", "an option has a value of the wrong type or one that does not exist";
    MISPLACED_OPTION = "misplaced-option", "an option is in a place where it means nothing";
    OPTION_ON_ANSWER = "option-on-answer", "the answer of a call has an option that belongs on its request";
    CALL_KIND = "call-kind", "a call has a kind other than COMMAND";
    ZERO_TIMEOUT = "zero-timeout", "a time limit is zero";
    UNUSED_TIMEOUT = "unused-timeout", "a message that nothing answers has a time limit";
    UNUSED_IDEMPOTENT = "unused-idempotent", "a message that nothing answers is marked idempotent";
    KEY_OF_STREAM = "key-of-stream", "a request that is a stream has a key";
    KEY_NOT_FOUND = "key-not-found", "the key is not a field of the message";
    KEY_TYPE = "key-type", "the key is a field whose type cannot tell one message from another";
    INVALID_CODE = "invalid-code", "a code is empty, too long or has a character that it cannot have";
    DUPLICATE_CODE = "duplicate-code", "two messages of one direction have the same code";

    // Pairs.
    PAIR_IN_ONE_DIRECTION = "pair-in-one-direction", "a request and its response go the same way";
    RESPONSE_NOT_FOUND = "response-not-found", "the response is not a member of the other direction";
    RESPONSE_IN_SAME_DIRECTION = "response-in-same-direction", "the named response goes the same way as its request";
    RESPONSE_MISSING = "response-missing", "a response is asked for, but none is found";
    REPLY_CONTRADICTS_RESPONSE = "reply-contradicts-response", "a response is named, or the request is a stream, although the reply is NONE or ACK";
    ANSWER_IS_REQUEST = "answer-is-request", "a member is the answer of one call and the request of another";

    // Services.
    METHOD_NOT_MEMBER = "method-not-member", "a method's type is not carried by any member";
    METHOD_AMBIGUOUS = "method-ambiguous", "a method's type is carried by several members";
    METHOD_IN_ONE_DIRECTION = "method-in-one-direction", "a method's request and response go the same way";
    METHOD_CONFLICT = "method-conflict", "a method contradicts a pair or an option";
    DUPLICATE_METHOD = "duplicate-method", "two methods have the same request";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kebab_case_and_unique() {
        for (index, code) in Code::ALL.iter().enumerate() {
            assert!(
                code.as_str()
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'),
                "{code}"
            );
            assert!(
                Code::ALL[..index]
                    .iter()
                    .all(|other| other.as_str() != code.as_str()),
                "{code} is listed twice"
            );
        }
    }

    #[test]
    fn the_documentation_explains_each_and_no_other() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schema.md");
        let text = std::fs::read_to_string(path).expect("the documentation is there");
        let (_, errors) = text
            .split_once("\n## Errors\n")
            .expect("it has a chapter on errors");
        let mut explained: Vec<_> = errors
            .lines()
            .filter_map(|line| line.strip_prefix("### "))
            .collect();
        let mut codes: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        explained.sort_unstable();
        codes.sort_unstable();
        assert_eq!(explained, codes);
    }
}

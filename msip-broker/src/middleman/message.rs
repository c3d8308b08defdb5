//! The text of a message of MiddleMan (docs/dialects.md, "MiddleMan"): a command and a key, headers, a body, and a line with a dot.

use std::fmt;

use thiserror::Error;

/// How long the first line and the headers may be together, in bytes.
pub(super) const MAX_HEAD_LEN: usize = 16 * 1024;

/// How many headers there may be.
const MAX_HEADERS: usize = 100;

/// What follows the body: the end of its last line, and the line that ends the message.
const END: &str = "\r\n.\r\n";

/// A message as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message<'a> {
    pub(super) command: &'a str,
    /// The rest of the first line, blanks included.
    pub(super) key: &'a str,
    pub(super) headers: Vec<Header>,
    /// The lines before the one that ends the message, as they came: dots are as the sender wrote them.
    pub(super) body: &'a str,
}

/// A header.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// In MIME's canonical case, in which it is sent on.
    pub(super) name: String,
    /// As its sender spelled it.
    pub(super) spelling: String,
    pub(super) value: String,
}

/// Its value may be secret.
impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Header").field(&self.spelling).finish()
    }
}

impl Header {
    /// A header of this name, in any case.
    pub(super) fn new(spelling: &str, value: impl Into<String>) -> Self {
        Self {
            name: canonical(spelling),
            spelling: spelling.to_owned(),
            value: value.into(),
        }
    }
}

/// Why a text is no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum Malformed {
    #[error("the first line has no command and key")]
    FirstLine,
    #[error("a header line has no colon")]
    NoColon,
    #[error("the first header begins with a blank")]
    LeadingBlank,
    #[error("a carriage return is within the first line or a header")]
    CarriageReturn,
    #[error("no line with a dot ends the message")]
    NoEnd,
    #[error(
        "the first line and the headers have more than {MAX_HEAD_LEN} bytes, or there are more than {MAX_HEADERS}"
    )]
    LongHead,
}

impl<'a> Message<'a> {
    /// Reads a message. Lines end with CR LF or LF; what follows the line with a dot is ignored.
    pub(super) fn parse(text: &'a str) -> Result<Self, Malformed> {
        let mut lines = Lines { text, at: 0 };
        let first = lines.next_whole().ok_or(Malformed::FirstLine)?;
        let (command, key) = first.split_once(' ').ok_or(Malformed::FirstLine)?;
        // Clients that end lines with it too would read another header there.
        if first.contains('\r') {
            return Err(Malformed::CarriageReturn);
        }
        let mut headers: Vec<Header> = Vec::new();
        loop {
            if lines.at > MAX_HEAD_LEN || headers.len() > MAX_HEADERS {
                return Err(Malformed::LongHead);
            }
            let line = lines.next_whole().ok_or(Malformed::NoEnd)?;
            if line.is_empty() {
                break;
            }
            if line.contains('\r') {
                return Err(Malformed::CarriageReturn);
            }
            if line.starts_with([' ', '\t']) {
                // It goes on with the header before.
                let last = headers.last_mut().ok_or(Malformed::LeadingBlank)?;
                last.value.push(' ');
                last.value.push_str(line.trim_matches([' ', '\t']));
                continue;
            }
            let (name, value) = line.split_once(':').ok_or(Malformed::NoColon)?;
            headers.push(Header::new(name, value.trim_matches([' ', '\t'])));
        }
        // One without a name says nothing.
        headers.retain(|header| !header.name.is_empty());
        let body = body(text.get(lines.at..).unwrap_or_default())?;
        Ok(Self {
            command,
            key,
            headers,
            body,
        })
    }

    /// The value of the first header of this name, which is in canonical case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|header| header.name == name);
        header.map(|header| &*header.value)
    }
}

/// What comes before the first line that is a dot, without the end of its last line.
fn body(text: &str) -> Result<&str, Malformed> {
    let mut lines = Lines { text, at: 0 };
    loop {
        let start = lines.at;
        // The end of the text ends the last line too.
        if lines.next().ok_or(Malformed::NoEnd)? == "." {
            let body = text.get(..start).unwrap_or_default();
            let body = body.strip_suffix('\n').unwrap_or(body);
            return Ok(body.strip_suffix('\r').unwrap_or(body));
        }
    }
}

/// The lines of a text, without their ends.
struct Lines<'a> {
    text: &'a str,
    /// Where the next one begins.
    at: usize,
}

impl<'a> Lines<'a> {
    /// The next line, which has an end.
    fn next_whole(&mut self) -> Option<&'a str> {
        let rest = self.text.get(self.at..)?;
        let end = rest.find('\n')?;
        self.at += end + 1;
        let line = rest.get(..end)?;
        Some(line.strip_suffix('\r').unwrap_or(line))
    }

    fn next(&mut self) -> Option<&'a str> {
        if let Some(line) = self.next_whole() {
            return Some(line);
        }
        let rest = self.text.get(self.at..).filter(|rest| !rest.is_empty())?;
        self.at = self.text.len();
        Some(rest)
    }
}

/// The name of a header in MIME's canonical case: `x-bar-BAZ` is `X-Bar-Baz`. What is no name of MIME stays as it is.
pub(super) fn canonical(name: &str) -> String {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !name.bytes().all(is_token) {
        return name.to_owned();
    }
    let mut begins = true;
    let in_case = name.chars().map(|c| {
        let c = match begins {
            true => c.to_ascii_uppercase(),
            false => c.to_ascii_lowercase(),
        };
        begins = c == '-';
        c
    });
    in_case.collect()
}

/// Who has sent a message, as its receivers are told: never by the sender itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sender<'a> {
    pub(super) cid: &'a str,
    /// Empty where it has none.
    pub(super) uid: &'a str,
}

/// The text of a message from a sender. Headers that say who that is are left out, since it is said here.
pub(super) fn write<'h>(
    command: &str,
    key: &str,
    headers: impl IntoIterator<Item = (&'h str, &'h str)>,
    sender: Sender<'_>,
    body: &str,
) -> String {
    let mut text = String::with_capacity(body.len() + key.len() + 256);
    first_line(&mut text, command, key);
    for (name, value) in headers {
        if !matches!(name, "Cid" | "Uid") {
            header(&mut text, name, value);
        }
    }
    header(&mut text, "Cid", sender.cid);
    header(&mut text, "Uid", sender.uid);
    end(text, body)
}

/// What a client is told that has asked for something which is not done: it has no headers.
pub(super) fn error(what: &str) -> String {
    let mut text = String::with_capacity(what.len() + 32);
    first_line(&mut text, "PUB", "ERROR");
    end(text, what)
}

fn first_line(text: &mut String, command: &str, key: &str) {
    text.push_str(command);
    text.push(' ');
    text.push_str(key);
    text.push_str("\r\n");
}

fn header(text: &mut String, name: &str, value: &str) {
    text.push_str(name);
    text.push_str(": ");
    text.push_str(value);
    text.push_str("\r\n");
}

fn end(mut text: String, body: &str) -> String {
    text.push_str("\r\n");
    text.push_str(body);
    text.push_str(END);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (&str, &str, Vec<(String, String)>, &str) {
        let message = Message::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        let headers = message.headers.into_iter();
        let headers = headers.map(|header| (header.name, header.value)).collect();
        (message.command, message.key, headers, message.body)
    }

    fn headers(all: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        all.iter().map(owned).collect()
    }

    #[test]
    fn the_texts_of_the_published_clients_are_read() {
        let cases = [
            (
                "PUB T1\r\nFoo: 1\r\nx-bar-BAZ:  two words  \r\n\r\nhello\r\n.\r\n",
                (
                    "PUB",
                    "T1",
                    headers(&[("Foo", "1"), ("X-Bar-Baz", "two words")]),
                    "hello",
                ),
            ),
            ("EREQ Chat\n\n\r\n.\r\n", ("EREQ", "Chat", headers(&[]), "")),
            (
                "REQ Chat\r\nReqID: 1f\r\n\r\nhello\r\n.\r\n",
                ("REQ", "Chat", headers(&[("Reqid", "1f")]), "hello"),
            ),
            (
                "RES Chat\nreqid:1f\ncid:a\nuid:\nrid:1\n\nOK\r\n.\r\n",
                (
                    "RES",
                    "Chat",
                    headers(&[("Reqid", "1f"), ("Cid", "a"), ("Uid", ""), ("Rid", "1")]),
                    "OK",
                ),
            ),
            (
                "PUB MSG:x\ncmd:error\ntype:Exception\nmsg:No UID\n\n\r\n.\r\n",
                (
                    "PUB",
                    "MSG:x",
                    headers(&[("Cmd", "error"), ("Type", "Exception"), ("Msg", "No UID")]),
                    "",
                ),
            ),
            (
                "INT UID\nforcid:x\nsetuid:user7\n\n\r\n.\r\n",
                (
                    "INT",
                    "UID",
                    headers(&[("Forcid", "x"), ("Setuid", "user7")]),
                    "",
                ),
            ),
            // Dots stay as they are.
            (
                "PUB T1\n\n.dot\r\n..dotdot\nend\r\n.\r\n",
                ("PUB", "T1", headers(&[]), ".dot\r\n..dotdot\nend"),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(parsed(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_the_reference_takes_is_taken() {
        let cases = [
            (
                "blanks in a key count",
                "PUB a b \n\n.\n",
                ("a b ", headers(&[]), ""),
            ),
            ("an empty key", "PUB \n\n.\n", ("", headers(&[]), "")),
            (
                "UTF-8",
                "PUB ü\nn:é\n\nß\n.\n",
                ("ü", headers(&[("N", "é")]), "ß"),
            ),
            (
                "repeated names",
                "PUB a\nx:1\nX: 2\n\n.\n",
                ("a", headers(&[("X", "1"), ("X", "2")]), ""),
            ),
            (
                "folded lines",
                "PUB a\nx: one\n  two \n\tthree\n\n.\n",
                ("a", headers(&[("X", "one two three")]), ""),
            ),
            (
                "an empty value",
                "PUB a\nx:\n\n.\n",
                ("a", headers(&[("X", "")]), ""),
            ),
            (
                "a header without a name",
                "PUB a\n: 1\n\n.\n",
                ("a", headers(&[]), ""),
            ),
            (
                "text after the end",
                "PUB a\n\nb\n.\nmore\n.\n",
                ("a", headers(&[]), "b"),
            ),
            (
                "no line end after the dot",
                "PUB a\n\nb\n.",
                ("a", headers(&[]), "b"),
            ),
            (
                "empty lines of a body",
                "PUB a\n\n\n\nb\n\n.\n",
                ("a", headers(&[]), "\n\nb\n"),
            ),
            (
                "a colon in a value",
                "PUB a\nx: y: z\n\n.\n",
                ("a", headers(&[("X", "y: z")]), ""),
            ),
        ];
        for (name, text, (key, headers, body)) in cases {
            assert_eq!(parsed(text), ("PUB", key, headers, body), "{name}");
        }
    }

    #[test]
    fn what_is_malformed_is_refused() {
        let many = format!("PUB a\n{}\n.\n", "x:1\n".repeat(MAX_HEADERS + 1));
        let long = format!("PUB a\nx:{}\n\n.\n", "y".repeat(MAX_HEAD_LEN));
        let cases = [
            ("", Malformed::FirstLine),
            ("PUB", Malformed::FirstLine),
            ("PUB\n\n.\n", Malformed::FirstLine),
            ("PUB a\n", Malformed::NoEnd),
            ("PUB a\n\nhello", Malformed::NoEnd),
            ("PUB a\n\nhello\n..\n", Malformed::NoEnd),
            ("PUB a\nx:1\n", Malformed::NoEnd),
            ("PUB a\rb\n\n.\n", Malformed::CarriageReturn),
            ("PUB a\nx: 1\rCid: 2\n\n.\n", Malformed::CarriageReturn),
            ("PUB a\nx\n\n.\n", Malformed::NoColon),
            ("PUB a\n x:1\n\n.\n", Malformed::LeadingBlank),
            (&many, Malformed::LongHead),
            (&long, Malformed::LongHead),
        ];
        for (text, expected) in cases {
            assert_eq!(Message::parse(text), Err(expected), "{text:.60?}");
        }
    }

    #[test]
    fn texts_go_out_with_the_sender_that_is_known() {
        let sender = Sender {
            cid: "dc01svlqmd2q1be2h5qg",
            uid: "user7",
        };
        let headers = [("Foo", "1"), ("Cid", "forged"), ("Uid", "forged")];
        assert_eq!(
            write("PUB", "T1", headers, sender, "hello"),
            "PUB T1\r\nFoo: 1\r\nCid: dc01svlqmd2q1be2h5qg\r\nUid: user7\r\n\r\nhello\r\n.\r\n"
        );
        assert_eq!(
            error("Not trusted PUB T1"),
            "PUB ERROR\r\n\r\nNot trusted PUB T1\r\n.\r\n"
        );
    }

    #[test]
    fn what_was_written_is_read_again_with_the_same_body() {
        let sender = Sender { cid: "a", uid: "" };
        for body in ["", "a", "a\r\n", "\n", "a\nb", ".a", "..", "\r\n\r\n"] {
            let text = write("PUB", "k", [("X", "1")], sender, body);
            assert_eq!(Message::parse(&text).unwrap().body, body, "{body:?}");
        }
    }

    #[test]
    fn names_are_written_as_mime_writes_them() {
        for (name, expected) in [
            ("cid", "Cid"),
            ("ReqID", "Reqid"),
            ("x-bar-BAZ", "X-Bar-Baz"),
            ("with blank", "with blank"),
            ("ü", "ü"),
        ] {
            assert_eq!(canonical(name), expected);
        }
    }
}

//! Lines of bodies that begin with a dot, where a body passes between MiddleMan and MSIP. Within MiddleMan it passes as it is.

use std::borrow::Cow;

/// The body as its sender means it: a line that begins with two dots has one less. One that begins with a single dot is of a client
/// that does not double them, and stays.
pub(super) fn unstuff(body: &str) -> Cow<'_, str> {
    each_line(
        body,
        |line| line.strip_prefix('.').filter(|rest| rest.starts_with('.')),
        "",
    )
}

/// The body as a message of MiddleMan can have it, so that [`unstuff`] gives it back: no line of it is a dot alone. Other lines that
/// begin with a single dot stay, for clients that do not remove a second one.
pub(super) fn stuff(body: &str) -> Cow<'_, str> {
    each_line(
        body,
        |line| {
            let content = line.trim_end_matches(['\r', '\n']);
            (content == "." || content.starts_with("..")).then_some(line)
        },
        ".",
    )
}

/// The lines, of which those that `change` returns something for are replaced by `before` and that.
fn each_line<'a>(
    body: &'a str,
    change: impl Fn(&'a str) -> Option<&'a str>,
    before: &str,
) -> Cow<'a, str> {
    if !body.starts_with('.') && !body.contains("\n.") {
        return Cow::Borrowed(body);
    }
    let mut all = String::with_capacity(body.len() + 16);
    for line in body.split_inclusive('\n') {
        match change(line) {
            Some(changed) => {
                all.push_str(before);
                all.push_str(changed);
            }
            None => all.push_str(line),
        }
    }
    Cow::Owned(all)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn two_dots_are_one_and_one_is_kept() {
        for (body, expected) in [
            ("a", "a"),
            ("..", "."),
            ("..dotdot\r\n.dot\r\n...\n", ".dotdot\r\n.dot\r\n..\n"),
            ("a..\n.", "a..\n."),
        ] {
            assert_eq!(unstuff(body), expected, "{body:?}");
        }
        for (body, expected) in [("a", "a"), (".", ".."), (".x\n.\r\n..", ".x\n..\r\n...")] {
            assert_eq!(stuff(body), expected, "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_stuffed_comes_back_and_ends_no_message(body in "[.a\r\n]{0,12}") {
            let stuffed = stuff(&body);
            prop_assert_eq!(unstuff(&stuffed), body.as_str());
            let text = format!("PUB k\r\n\r\n{stuffed}\r\n.\r\n");
            let message = super::super::message::Message::parse(&text);
            prop_assert_eq!(message.map(|message| message.body), Ok(&*stuffed));
        }
    }
}

//! The conversation with one client, without I/O: its key, and then its commands.

use std::collections::VecDeque;

use super::{
    ending::Fault,
    message::{Message, error},
};

/// What a client asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Input<'a> {
    /// It says who it is. Answered by [`Session::welcome`], or by the end of the connection.
    Key(&'a str),
    Publish(Message<'a>),
    Subscribe(&'a str),
    Unsubscribe(&'a str),
    Request(Message<'a>),
    /// The answer to the request that it was given under this number.
    Respond(u64, Message<'a>),
    /// Clients may do this with a key from now on.
    Enable(Enable, &'a str),
    /// The client of this id is this user from now on.
    SetUid {
        cid: String,
        uid: String,
    },
}

/// What a service enables for clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Enable {
    Publish,
    Subscribe,
    /// It serves the requests itself.
    Request,
}

impl Enable {
    pub(super) fn command(self) -> &'static str {
        match self {
            Self::Publish => "EPUB",
            Self::Subscribe => "ESUB",
            Self::Request => "EREQ",
        }
    }
}

/// How far the conversation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    AwaitsKey,
    Open { is_trusted: bool },
}

/// The conversation with one client. What it is told is in [`Session::output`].
#[derive(Debug)]
pub(super) struct Session {
    state: State,
    output: VecDeque<String>,
    /// How many bytes are in it.
    output_len: usize,
}

impl Session {
    pub(super) const fn new() -> Self {
        Self {
            state: State::AwaitsKey,
            output: VecDeque::new(),
            output_len: 0,
        }
    }

    /// What a text asks for; `None` where there is nothing to do but to write [`output`](Self::output).
    pub(super) fn handle_text<'a>(&mut self, text: &'a str) -> Result<Option<Input<'a>>, Fault> {
        let State::Open { is_trusted } = self.state else {
            return Ok(Some(Input::Key(text)));
        };
        let message = Message::parse(text)?;
        let Message { command, key, .. } = message;
        let not_trusted = || format!("Not trusted {command} {}", shown(key));
        let for_services = |input| match is_trusted {
            true => Ok(input),
            false => Err(not_trusted()),
        };
        let input = match command {
            "PUB" => Ok(Input::Publish(message)),
            "SUB" => Ok(Input::Subscribe(key)),
            "UNS" => Ok(Input::Unsubscribe(key)),
            "REQ" => Ok(Input::Request(message)),
            "EPUB" => for_services(Input::Enable(Enable::Publish, key)),
            "ESUB" => for_services(Input::Enable(Enable::Subscribe, key)),
            "EREQ" => for_services(Input::Enable(Enable::Request, key)),
            "RES" => match message.header("Rid").and_then(|rid| rid.parse().ok()) {
                Some(rid) => for_services(Input::Respond(rid, message)),
                None if !is_trusted => Err(not_trusted()),
                // It is told nothing, as the reference has it.
                None => return Ok(None),
            },
            "INT" if is_trusted && key == "UID" => {
                let of = |name| message.header(name).unwrap_or_default().to_owned();
                let (cid, uid) = (of("Forcid"), of("Setuid"));
                Ok(Input::SetUid { cid, uid })
            }
            // What it does not know is ignored, as the reference has it.
            _ => return Ok(None),
        };
        match input {
            Ok(input) => Ok(Some(input)),
            Err(refused) => {
                self.refuse(&refused);
                Ok(None)
            }
        }
    }

    /// The key is known, and the connection has this id.
    pub(super) fn welcome(&mut self, id: &str, is_trusted: bool) {
        self.state = State::Open { is_trusted };
        self.push("MM OK".to_owned());
        self.push(id.to_owned());
    }

    /// Says that something is not done.
    pub(super) fn refuse(&mut self, what: &str) {
        self.push(error(what));
    }

    fn push(&mut self, text: String) {
        self.output_len += text.len();
        self.output.push_back(text);
    }

    /// The next text that is to be written.
    pub(super) fn poll_output(&mut self) -> Option<String> {
        let text = self.output.pop_front()?;
        self.output_len -= text.len();
        Some(text)
    }

    /// How many bytes wait to be written.
    pub(super) const fn output_len(&self) -> usize {
        self.output_len
    }
}

/// How much of a key is repeated in an error, in bytes.
const SHOWN: usize = 512;

/// A key as it is repeated in an error.
pub(super) fn shown(key: &str) -> &str {
    let mut end = key.len().min(SHOWN);
    while !key.is_char_boundary(end) {
        end -= 1;
    }
    key.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{super::message::Malformed, *};

    fn open(is_trusted: bool) -> Session {
        let mut session = Session::new();
        session.welcome("dc01svlqmd2q1be2h5qg", is_trusted);
        assert_eq!(session.poll_output().as_deref(), Some("MM OK"));
        assert_eq!(
            session.poll_output().as_deref(),
            Some("dc01svlqmd2q1be2h5qg")
        );
        assert_eq!((session.poll_output(), session.output_len()), (None, 0));
        session
    }

    #[test]
    fn the_first_text_is_the_key_whatever_it_is() {
        for text in ["plugh", "PUB T1\n\n.\n", "", " xyzzy\n"] {
            let mut session = Session::new();
            assert_eq!(session.handle_text(text), Ok(Some(Input::Key(text))));
            assert_eq!(session.poll_output(), None);
        }
    }

    #[test]
    fn the_commands_of_services_are_refused_to_others_in_the_words_of_the_reference() {
        let mut session = open(false);
        for command in ["RES", "EPUB", "ESUB", "EREQ"] {
            let text = format!("{command} a b \nrid: 1\n\n.\n");
            assert_eq!(session.handle_text(&text), Ok(None), "{command}");
            let told = format!("PUB ERROR\r\n\r\nNot trusted {command} a b \r\n.\r\n");
            assert_eq!(session.poll_output(), Some(told));
        }
        let text = "INT UID\nforcid: x\nsetuid: y\n\n.\n";
        assert_eq!(session.handle_text(text), Ok(None));
        assert_eq!(session.poll_output(), None, "INT is not answered");
    }

    #[test]
    fn a_service_may_use_all_of_them() {
        let mut session = open(true);
        let respond = "RES a\nRID: 17\n\nOK\n.\n";
        let Ok(Some(Input::Respond(17, message))) = session.handle_text(respond) else {
            panic!("it is an answer");
        };
        assert_eq!(message.body, "OK");
        for (command, enable) in [
            ("EPUB", Enable::Publish),
            ("ESUB", Enable::Subscribe),
            ("EREQ", Enable::Request),
        ] {
            let text = format!("{command} a\n\n.\n");
            let input = session.handle_text(&text);
            assert_eq!(input, Ok(Some(Input::Enable(enable, "a"))));
            assert_eq!(enable.command(), command);
        }
        let text = "INT UID\nforcid: x\nsetuid: y\n\n.\n";
        let (cid, uid) = ("x".to_owned(), "y".to_owned());
        assert_eq!(
            session.handle_text(text),
            Ok(Some(Input::SetUid { cid, uid }))
        );
        assert_eq!(session.poll_output(), None);
    }

    #[test]
    fn what_is_not_known_is_ignored() {
        let mut session = open(true);
        for text in [
            "pub a\n\n.\n",
            "HELLO a\n\n.\n",
            "INT CID\n\n.\n",
            "RES a\n\n.\n",
            "RES a\nrid: one\n\n.\n",
        ] {
            assert_eq!(session.handle_text(text), Ok(None), "{text}");
            assert_eq!(session.poll_output(), None, "{text}");
        }
        let fault = Fault::Malformed(Malformed::FirstLine);
        assert_eq!(session.handle_text("PUB"), Err(fault));
    }
}

//! The fuzz target of MiddleMan's texts.

use super::{
    dots,
    message::{Message, Sender, write},
    session::{Input, Session},
    topics::{key_of, topic_of},
    translate,
};
use crate::router::SessionKey;

/// Any text is taken without a panic, and what is sent on of it is one message with the same key, headers and body. The first byte
/// says whether its sender is a service.
pub fn middleman(data: &[u8]) {
    let Some((first, text)) = data.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let mut session = Session::new();
    assert!(matches!(session.handle_text(text), Ok(Some(Input::Key(key))) if key == text));
    session.welcome("id", first & 1 == 1);
    while session.poll_output().is_some() {}
    let handled = session.handle_text(text);
    if let Ok(Some(Input::Respond(..) | Input::Enable(..) | Input::SetUid { .. })) = handled {
        assert!(first & 1 == 1, "these are for services");
    }
    while let Some(told) = session.poll_output() {
        let told = message_of(&told);
        assert_eq!((told.command, told.key), ("PUB", "ERROR"));
        assert!(told.headers.is_empty());
    }
    assert_eq!(session.output_len(), 0);
    let Ok(message) = Message::parse(text) else {
        return;
    };
    sends_on(&message);
}

/// What becomes of a message is one message, for clients of MiddleMan and of MSIP.
fn sends_on(message: &Message<'_>) {
    let sender = Sender { cid: "id", uid: "" };
    let headers = message.headers.iter();
    let headers = headers.map(|header| (&*header.name, &*header.value));
    let text = write("PUB", message.key, headers, sender, message.body);
    let again = message_of(&text);
    assert_eq!((again.key, again.body), (message.key, message.body));
    let of_sender = again.headers.iter().filter(|header| header.name == "Cid");
    assert_eq!(of_sender.count(), 1, "a sender says who it is by nothing");
    assert_eq!(again.header("Cid"), Some("id"));
    let body = dots::unstuff(message.body);
    assert_eq!(dots::unstuff(&dots::stuff(&body)), body);
    let Some(topic) = topic_of(message.key) else {
        return;
    };
    assert_eq!(key_of(topic.as_bytes()), message.key);
    let headers = &message.headers;
    let made = translate::publication(SessionKey::BROKER, topic, headers, sender, message.body);
    let publication = promised(made, "what has a topic is a frame");
    let mut dropped = 0;
    let texts = translate::texts(&publication, message.key, sender, usize::MAX, &mut dropped);
    assert_eq!((texts.len(), dropped), (1, 0));
    let back = texts.iter().map(|text| message_of(text)).next();
    assert_eq!(back.map(|back| dots::unstuff(back.body)), Some(body));
}

/// What is told or sent on is a message.
fn message_of(text: &str) -> Message<'_> {
    promised(Message::parse(text).ok(), text)
}

fn promised<T>(kept: Option<T>, what: &str) -> T {
    // A fuzz target fails by a panic.
    kept.unwrap_or_else(|| panic!("a broken promise: {what:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_and_mutations_of_it_break_no_promise() {
        msip_replay::replay("middleman", middleman, 5000);
    }
}

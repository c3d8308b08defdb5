//! Any bytes as the data of a request: data or a refusal, never a panic, and never more than what has come.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use axum::{body::Body, extract::Request};
use serde_json::{Value, json};

use super::{data, meta::Meta, upload::Uploads, validation::Validator};

/// The first byte says what the others are: a query, a form, parts, JSON, a path, or data for a schema.
pub fn jesus_data(input: &[u8]) {
    let Some((kind, rest)) = input.split_first() else {
        return;
    };
    let text = String::from_utf8_lossy(rest);
    match kind % 6 {
        0 => read("GET", &uri(&text), "", Vec::new(), "", rest.len()),
        1 => read(
            "POST",
            "/m",
            "application/x-www-form-urlencoded",
            rest.to_vec(),
            "",
            rest.len(),
        ),
        2 => read(
            "POST",
            "/m",
            "multipart/form-data; boundary=b",
            rest.to_vec(),
            "",
            rest.len(),
        ),
        3 => read(
            "POST",
            "/m",
            "application/json",
            rest.to_vec(),
            "",
            rest.len(),
        ),
        4 => read("POST", "/m", "", Vec::new(), &text, rest.len()),
        _ => validate(rest),
    }
}

/// A URI whose query is this text, if HTTP can have it.
fn uri(text: &str) -> String {
    let allowed = text.chars().filter(|c| c.is_ascii_graphic() && *c != '#');
    format!("/m?{}", allowed.collect::<String>())
}

fn read(verb: &str, uri: &str, content_type: &str, body: Vec<u8>, path: &str, len: usize) {
    let request = Request::builder()
        .method(verb)
        .uri(uri)
        .header("content-type", content_type);
    let Ok(request) = request.body(Body::from(body)) else {
        return;
    };
    let uploads = Uploads {
        types: vec!["application/octet-stream".to_owned()],
        max_file: 512,
        max_total: 1024,
        max_files: 3,
    };
    let mut reading = pin!(data::read(request, path, &uploads));
    let mut context = Context::from_waker(Waker::noop());
    // The body is there: nothing is waited for, though a reader may ask to be polled again.
    let result = (0..1000).find_map(|_| match reading.as_mut().poll(&mut context) {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    });
    let Some(Ok(data)) = result else {
        assert!(result.is_some(), "reading does not end");
        return;
    };
    assert!(data.files.len() <= 3);
    assert!(depth(&data.value) <= 128, "deep");
    if content_type != "application/json" {
        // A byte that is not UTF-8 becomes a character of three.
        assert!(text_len(&data.value) <= len * 3, "it has grown");
    }
}

fn validate(input: &[u8]) {
    let mut halves = input.splitn(2, |byte| *byte == 0);
    let mut next =
        || serde_json::from_slice::<Value>(halves.next().unwrap_or_default()).unwrap_or(json!({}));
    let (schema, mut value) = (next(), next());
    if let Ok(validator) = Validator::new(schema, true) {
        assert!(validator.validate(&mut value).len() <= 64);
        // What was coerced needs no coercion, unless it was refused.
        let once = value.clone();
        let again = validator.validate(&mut value);
        assert!(!again.is_empty() || once == value);
    }
    if let Ok(text) = std::str::from_utf8(input) {
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        assert!(Meta::of(pairs).headers("http", false, 0).len() <= 40);
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn text_len(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(text_len).sum(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| name.len().min(1) + text_len(value))
            .sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_corpus_and_mutations_of_it_violate_no_guarantee() {
        msip_replay::replay("jesus_data", super::jesus_data, 3000);
    }
}

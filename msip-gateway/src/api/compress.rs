//! Compressed answers.

use std::io::Write as _;

use axum::http::{HeaderMap, HeaderValue, header};
use flate2::{Compression, write::GzEncoder};

/// The smallest body that is compressed.
const THRESHOLD: usize = 1024;

/// The body compressed, where the client understands that and it gets smaller.
pub(super) fn gzip(asked: &HeaderMap, body: Vec<u8>, headers: &mut HeaderMap) -> Vec<u8> {
    if body.len() < THRESHOLD {
        return body;
    }
    headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if !takes_gzip(asked) {
        return body;
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 2), Compression::fast());
    // A vector can always be written to.
    let written = encoder.write_all(&body).and_then(|()| encoder.finish());
    match written {
        Ok(compressed) if compressed.len() < body.len() => {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            compressed
        }
        _ => body,
    }
}

/// Whether a client takes it: it names gzip, or everything, and not with the weight 0.
fn takes_gzip(asked: &HeaderMap) -> bool {
    let values = asked.get_all(header::ACCEPT_ENCODING).iter();
    let codings = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let (mut named, mut any) = (None, None);
    for coding in codings {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=").unwrap_or("1");
        let is_taken = weight.parse::<f32>().is_ok_and(|weight| weight > 0.0);
        match name.trim() {
            name if name.eq_ignore_ascii_case("gzip") => named = Some(is_taken),
            "*" => any = Some(is_taken),
            _ => {}
        }
    }
    named.or(any).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_gzip_gets_it() {
        for (asked, is_compressed) in [
            ("gzip", true),
            ("GZIP;q=0.5", true),
            ("br, gzip;q=1.0, *;q=0", true),
            ("*", true),
            ("gzip;q=0", false),
            ("gzip;q=0, *", false),
            ("br", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(asked));
            let mut answer = HeaderMap::new();
            let body = gzip(&headers, vec![b' '; 2000], &mut answer);
            assert_eq!(body.len() < 2000, is_compressed, "{asked}");
            assert_eq!(answer.contains_key(header::CONTENT_ENCODING), is_compressed);
            assert_eq!(answer[header::VARY], "Accept-Encoding");
            let short = gzip(&headers, vec![b' '; 20], &mut HeaderMap::new());
            assert_eq!(short.len(), 20);
        }
    }
}

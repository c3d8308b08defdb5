//! Words that all parts of a document use.

/// Where the schemas of messages are in a document.
pub(super) const SCHEMAS: &str = "#/components/schemas/";

/// The first sentence of a comment, without its full stop.
pub(super) fn summary(doc: &str) -> Option<String> {
    let paragraph = doc.trim().split("\n\n").next()?.trim();
    let line = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    let sentence = line
        .split_once(". ")
        .map_or(line.as_str(), |(sentence, _)| sentence);
    let sentence = sentence.strip_suffix('.').unwrap_or(sentence);
    (!sentence.is_empty()).then(|| sentence.to_owned())
}

//! The vectors and malformed frames of docs/protocol.md.

use crate::failure::fail;

const PAGE: &str = include_str!("../../../docs/protocol.md");

/// A block of the page: its name, and what is behind `hex:`.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub(crate) name: &'static str,
    pub(crate) error: &'static str,
    pub(crate) bytes: Vec<u8>,
}

/// Every block of the page that begins with this word.
pub(crate) fn blocks(word: &str) -> Vec<Block> {
    let fence = format!("```{word} name=");
    let mut blocks = Vec::new();
    let mut lines = PAGE.lines();
    while let Some(line) = lines.next() {
        let Some(name) = line.strip_prefix(&*fence) else {
            continue;
        };
        let mut error = "";
        for line in lines.by_ref().take_while(|line| *line != "hex:") {
            error = line.strip_prefix("error: ").unwrap_or(error);
        }
        let hex: String = lines.by_ref().take_while(|line| *line != "```").collect();
        let digits: Vec<_> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
        let bytes = digits.chunks(2).map(|pair| {
            pair.iter()
                .fold(0, |byte, digit| (byte << 4) | *digit as u8)
        });
        blocks.push(Block {
            name,
            error,
            bytes: bytes.collect(),
        });
    }
    blocks
}

/// The bytes of the vector of this name.
pub(crate) fn vector(name: &str) -> Vec<u8> {
    let found = blocks("vector")
        .into_iter()
        .find(|block| block.name == name);
    match found {
        Some(block) => block.bytes,
        None => fail(format_args!("the page has no vector {name}")),
    }
}

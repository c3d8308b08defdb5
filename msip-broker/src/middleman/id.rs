//! The ids of connections.

use std::io;

/// The digits of an id, which are those of MiddleMan's.
const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";

/// How many an id has.
const LEN: usize = 20;

/// A new id: 100 random bits, so that nobody guesses that of another.
///
/// # Errors
///
/// The system has no random numbers.
pub(super) fn draw() -> io::Result<String> {
    let mut random = [0; LEN];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    let digit = |byte: u8| char::from(DIGITS[usize::from(byte) % DIGITS.len()]);
    Ok(random.into_iter().map(digit).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_the_form_of_the_reference_and_is_another_each_time() {
        let (one, other) = (draw().unwrap(), draw().unwrap());
        assert_ne!(one, other);
        let is_digit = |c: char| c.is_ascii_digit() || ('a'..='v').contains(&c);
        assert!(one.len() == 20 && one.chars().all(is_digit), "{one}");
    }
}

//! What people read.

/// Prints a line about somebody.
pub(crate) fn say(who: &str, what: &str) {
    println!("  {who:<9} {what}");
}

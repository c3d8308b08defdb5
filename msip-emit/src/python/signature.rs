//! The heads of methods.

use super::module::{LINE_LEN, Module};

impl Module<'_, '_> {
    /// The head of a method, over several lines where it is long.
    pub(super) fn signature(&mut self, def: &str, name: &str, parameters: &str, returns: &str) {
        let line = format!("{def} {name}({parameters}) -> {returns}:");
        if line.len() + 4 <= LINE_LEN {
            self.out.line(line);
            return;
        }
        self.out.line(format_args!("{def} {name}("));
        self.out.line(format_args!("    {parameters}"));
        self.out.line(format_args!(") -> {returns}:"));
    }
}

/// The parameter for a message, with a comma behind it, and the argument to pass on; none where nothing is carried.
pub(super) fn parameter<'n>(name: &'n str, message: Option<&str>) -> (String, &'n str) {
    match message {
        Some(message) => (format!("{name}: {message}, "), name),
        None => (String::new(), "None"),
    }
}

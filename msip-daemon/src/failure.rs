//! Why a program has ended.

use std::{error::Error, fmt, process::ExitCode};

/// Why a program has ended: what to say, and the code. `Display` is one line, for a log.
#[derive(Debug)]
pub struct Failure {
    texts: Vec<String>,
    code: u8,
}

impl Failure {
    /// Something could not be done, which is code 1.
    pub fn failed(error: &dyn Error) -> Self {
        Self {
            texts: vec![with_causes(error)],
            code: 1,
        }
    }

    /// The same, with what it was: "cannot start: no such file".
    pub fn cannot(what: &str, error: &dyn Error) -> Self {
        Self {
            texts: vec![format!("cannot {what}: {}", with_causes(error))],
            code: 1,
        }
    }

    /// Something that it was told is wrong, which is code 2.
    pub fn wrong(error: &dyn Error) -> Self {
        Self {
            texts: vec![with_causes(error)],
            code: 2,
        }
    }

    /// The same, where there is more than one mistake, or one that takes lines.
    pub fn mistakes(mistakes: impl IntoIterator<Item: ToString>) -> Self {
        let texts = mistakes.into_iter();
        Self {
            texts: texts.map(|mistake| mistake.to_string()).collect(),
            code: 2,
        }
    }

    pub(crate) fn code(&self) -> ExitCode {
        self.code.into()
    }

    /// What it says on standard error.
    pub(crate) fn report(&self, program: &str) -> String {
        let texts = self.texts.iter();
        texts
            .map(|text| format!("{program}: {}\n", text.trim_end()))
            .collect()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.texts.join("; "))
    }
}

/// An error and what has caused it, in one line.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text += &format!(": {cause}");
        next = cause.source();
    }
    text.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn each_mistake_is_a_line_for_people_and_all_are_one_for_a_log() {
        let failure = Failure::mistakes(["a is wrong", "b is wrong\n  at 1\n"]);
        let report = "msip: a is wrong\nmsip: b is wrong\n  at 1\n";
        assert_eq!(failure.report("msip"), report);
        let failure = Failure::mistakes(["a is wrong", "b is wrong"]);
        assert_eq!(failure.to_string(), "a is wrong; b is wrong");
    }

    #[test]
    fn an_error_is_told_with_its_causes() {
        let error = io::Error::other(io::Error::other("the disk\nis full"));
        let failure = Failure::cannot("start", &error);
        assert_eq!(failure.to_string(), "cannot start: the disk is full");
    }
}

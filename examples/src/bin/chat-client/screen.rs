//! The screen: reads and shows lines, at a terminal with a prompt or through a pipe.
//!
//! Reading blocks, so it runs in a thread. In a terminal `rustyline` reads; its external printer puts a line above
//! the prompt and redraws what is being typed.

use std::{
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    thread,
};

#[cfg(unix)]
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use rustyline::{DefaultEditor, ExternalPrinter};
use tokio::sync::mpsc;

/// Removes the prompt, and what was typed behind it.
const CLEAR_LINE: &str = "\r\x1b[K";

/// Something a person typed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Input {
    Say(String),
    Who,
    Ping,
    Help,
    Unknown(String),
    Quit,
    /// The input has ended.
    End,
}

impl Input {
    /// `None` for an empty line.
    fn parse(line: &str) -> Option<Self> {
        let line = line.trim();
        let command = line.split_whitespace().next()?;
        Some(match command {
            "/who" => Self::Who,
            "/ping" => Self::Ping,
            "/help" => Self::Help,
            "/quit" => Self::Quit,
            _ if command.starts_with('/') => Self::Unknown(command.to_owned()),
            _ => Self::Say(line.to_owned()),
        })
    }
}

/// Where lines are shown.
pub(crate) enum Screen {
    /// Above the prompt of a terminal.
    Terminal(Box<dyn ExternalPrinter + Send>, SavedMode),
    /// One after the other.
    Plain,
}

impl Screen {
    /// Shows a line, or several.
    pub(crate) fn print(&mut self, text: &str) {
        let line = format!("{text}\n");
        if let Self::Terminal(printer, _) = self
            && printer.print(line.clone()).is_ok()
        {
            return;
        }
        // The output is closed: there is nothing to be done about it.
        let _ = io::stdout().write_all(line.as_bytes());
    }

    /// Shows the last line, and leaves the terminal as it was before. Where a signal ends the program, a line is still being
    /// read, and the thread that reads it would come to neither.
    pub(crate) fn close(self, last: &str) {
        let clear = if let Self::Terminal(_, mode) = self {
            mode.restore();
            CLEAR_LINE
        } else {
            ""
        };
        // The output is closed: there is nothing to be done about it.
        let _ = writeln!(io::stdout(), "{clear}{last}");
    }
}

/// The mode of the terminal before lines were read.
pub(crate) struct SavedMode(#[cfg(unix)] Option<Termios>);

impl SavedMode {
    #[cfg(unix)]
    fn save() -> Self {
        Self(tcgetattr(io::stdin()).ok())
    }

    #[cfg(not(unix))]
    fn save() -> Self {
        Self()
    }

    fn restore(self) {
        #[cfg(unix)]
        if let Some(mode) = &self.0 {
            // A terminal that was closed needs nothing.
            let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, mode);
        }
    }
}

/// Shows an error.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Starts reading lines. The thread that does it ends with the first [`Input::Quit`] or [`Input::End`].
pub(crate) fn open(name: &str) -> (Screen, mpsc::Receiver<Input>) {
    let (sender, inputs) = mpsc::channel(16);
    if io::stdin().is_terminal()
        && io::stdout().is_terminal()
        && let Ok(mut editor) = DefaultEditor::new()
        && let Ok(printer) = editor.create_external_printer()
    {
        let prompt = format!("{name}> ");
        let mode = SavedMode::save();
        thread::spawn(move || read_terminal(&mut editor, &prompt, &sender));
        return (Screen::Terminal(Box::new(printer), mode), inputs);
    }
    thread::spawn(move || read_pipe(&sender));
    (Screen::Plain, inputs)
}

fn read_terminal(editor: &mut DefaultEditor, prompt: &str, sender: &mpsc::Sender<Input>) {
    // It ends here, not at the receiver: once this thread reads no more, the terminal is as it was before.
    loop {
        let input = match editor.readline(prompt) {
            Ok(line) => {
                // A line that cannot be added to the history can still be sent.
                let _ = editor.add_history_entry(line.as_str());
                Input::parse(&line)
            }
            // Ctrl-C, Ctrl-D, or the terminal was closed.
            Err(_) => Some(Input::Quit),
        };
        let Some(input) = input else { continue };
        let is_last = input == Input::Quit;
        if sender.blocking_send(input).is_err() || is_last {
            return;
        }
    }
}

fn read_pipe(sender: &mpsc::Sender<Input>) {
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        let Some(input) = Input::parse(&line) else {
            continue;
        };
        let is_last = input == Input::Quit;
        if sender.blocking_send(input).is_err() || is_last {
            return;
        }
    }
    // Where the receiver is closed, the event is not needed.
    let _ = sender.blocking_send(Input::End);
}

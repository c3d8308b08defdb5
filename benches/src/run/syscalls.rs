//! System call counts of a process: counted by `perf`, or `strace`, where one of them is there.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

/// What counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tool {
    /// `perf stat`, which costs the process next to nothing.
    Perf,
    /// `strace -c`, which slows it down, so that more is ready at once and is read and written together.
    Strace,
}

impl Tool {
    /// What is there and works.
    pub(super) fn find() -> Option<Self> {
        [Self::Perf, Self::Strace].into_iter().find(|tool| {
            let count = Count::new(*tool);
            let run = count
                .command(Path::new("true"))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            run.is_ok_and(|status| status.success()) && count.read().is_some()
        })
    }
}

/// The count of one process, in a file of its own.
#[derive(Debug)]
pub(super) struct Count {
    tool: Tool,
    file: PathBuf,
}

impl Count {
    pub(super) fn new(tool: Tool) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("msip-syscalls-{}-{number}", process::id());
        Self {
            tool,
            file: env::temp_dir().join(name),
        }
    }

    /// Runs `program` and counts.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = match self.tool {
            Tool::Perf => {
                let mut perf = Command::new("perf");
                perf.args(["stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-o"]);
                perf
            }
            Tool::Strace => {
                let mut strace = Command::new("strace");
                strace.args(["-f", "-c", "-U", "calls,name", "-o"]);
                strace
            }
        };
        command.arg(&self.file);
        if self.tool == Tool::Perf {
            command.arg("--");
        }
        command.arg(program);
        command
    }

    /// What was counted, once the process has ended.
    pub(super) fn read(&self) -> Option<f64> {
        let text = fs::read_to_string(&self.file).ok()?;
        match self.tool {
            Tool::Perf => perf_count(&text),
            Tool::Strace => strace_count(&text),
        }
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        // A file that is not there need not go.
        let _ = fs::remove_file(&self.file);
    }
}

/// `1234,,raw_syscalls:sys_enter,…`
fn perf_count(text: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.contains("sys_enter"))?;
    line.split(',').next()?.trim().parse().ok()
}

/// The last line is `145 total`.
fn strace_count(text: &str) -> Option<f64> {
    let line = text.lines().rev().find(|line| line.ends_with("total"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_found() {
        let perf = "# started on Sat\n\n144,,raw_syscalls:sys_enter,1156000,100.00,,\n";
        assert_eq!(perf_count(perf), Some(144.0));
        let unsupported = "<not counted>,,raw_syscalls:sys_enter,0,0.00,,\n";
        assert_eq!(perf_count(unsupported), None);
        let strace = "   calls syscall\n--- ---\n  144 read\n  1 rseq\n--- ---\n  145 total\n";
        assert_eq!(strace_count(strace), Some(145.0));
    }
}

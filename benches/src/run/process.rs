//! One trial: a server process, a client process, and their resource usage.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use msip_load::{Job, Load, NOT_OFFERED, Outcome};
use nix::sys::resource::{UsageWho, getrusage};

use super::{
    contender_program::ContenderProgram,
    syscalls::{Count, Tool},
};
use crate::problem::Problem;

/// The time between the start of a server and the measurement of its memory.
const SETTLING: Duration = Duration::from_millis(1000);

/// The result of one trial.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trial {
    pub(super) outcome: Outcome,
    /// The processor time of the server's process, over its whole run, in seconds.
    pub(super) server_cpu: f64,
    /// What the client's process used.
    pub(super) client_cpu: f64,
    /// How many calls into the kernel both made, where that was asked.
    pub(super) syscalls: Option<f64>,
    /// What connections added to the server's resident memory, in bytes, where that was asked.
    pub(super) memory: Option<f64>,
}

impl Trial {
    /// How many calls into the kernel both processes made for each message.
    pub(super) fn syscalls_per_message(self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 messages")]
        let messages = self.outcome.messages.max(1) as f64;
        self.syscalls.map(|count| count / messages)
    }
}

/// Starts both, and waits for them. `None` if the contender does not support the load.
pub(super) fn run_trial(
    contender: &ContenderProgram,
    workers: usize,
    load: Load,
    time: Duration,
    counted_by: Option<Tool>,
) -> Result<Option<Trial>, Problem> {
    let counts = counted_by.map(|tool| [Count::new(tool), Count::new(tool)]);
    let [server_count, client_count] = match &counts {
        Some([server, client]) => [Some(server), Some(client)],
        None => [None, None],
    };
    let mut server = Process::start(contender, workers, "serve", &[], server_count)?;
    let port = server.line()?;
    let idle_memory = server.memory()?;
    let job = serde_json::to_string(&Job { load, time }).map_err(Problem::Json)?;
    let args = ["--port", port.trim(), "--job", &job];
    let mut client = Process::start(contender, workers, "drive", &args, client_count)?;
    let mut memory = None;
    if matches!(load, Load::Idle { .. }) && !client.line()?.is_empty() {
        thread::sleep(SETTLING);
        memory = Some(server.memory()? - idle_memory);
    }
    let said = client.rest()?;
    let client_end = client.end()?;
    let server_end = server.end()?;
    if client_end.status.code() == Some(NOT_OFFERED.into()) {
        return Ok(None);
    }
    for end in [&client_end, &server_end] {
        if !end.status.success() {
            return Err(Problem::Failed {
                contender: contender.name.clone(),
                load: load.to_string(),
                status: end.status,
            });
        }
    }
    let outcome = serde_json::from_str(&said).map_err(Problem::Json)?;
    Ok(Some(Trial {
        outcome,
        server_cpu: server_end.cpu,
        client_cpu: client_end.cpu,
        syscalls: counts.and_then(|[server, client]| Some(server.read()? + client.read()?)),
        memory,
    }))
}

/// A process of a contender, killed on drop.
struct Process {
    child: Child,
    out: BufReader<ChildStdout>,
}

/// How a process ended, and how many seconds of processor time it used.
struct End {
    status: ExitStatus,
    cpu: f64,
}

impl Process {
    fn start(
        contender: &ContenderProgram,
        workers: usize,
        face: &str,
        args: &[&str],
        count: Option<&Count>,
    ) -> Result<Self, Problem> {
        let mut command = match count {
            Some(count) => count.command(&contender.program),
            None => Command::new(&contender.program),
        };
        let mut child = command
            .args([face, "--contender", &contender.name])
            .args(["--workers", &workers.to_string()])
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Problem::Process)?;
        let Some(out) = child.stdout.take() else {
            return Err(Problem::Process(std::io::ErrorKind::BrokenPipe.into()));
        };
        Ok(Self {
            child,
            out: BufReader::new(out),
        })
    }

    /// The next line of its output; empty if it has ended.
    fn line(&mut self) -> Result<String, Problem> {
        let mut line = String::new();
        self.out.read_line(&mut line).map_err(Problem::Process)?;
        Ok(line)
    }

    /// Lets it run until it exits, and returns the rest of its output.
    fn rest(&mut self) -> Result<String, Problem> {
        drop(self.child.stdin.take());
        let mut said = String::new();
        self.out
            .read_to_string(&mut said)
            .map_err(Problem::Process)?;
        Ok(said)
    }

    /// Its resident memory, in bytes; where it has a child, which is a broker, that of the child.
    fn memory(&self) -> Result<f64, Problem> {
        let id = self.child.id();
        // Not every kernel lists children: then it is the server's.
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let child = children
            .ok()
            .and_then(|ids| ids.split_whitespace().next()?.parse().ok());
        let path = format!("/proc/{}/status", child.unwrap_or(id));
        let status = fs::read_to_string(path).map_err(Problem::Process)?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
        // A process that has just ended has none; the trial tells why it ended.
        Ok(kib.unwrap_or(f64::NAN) * 1024.0)
    }

    /// Waits for it to end.
    ///
    /// The kernel adds to the use of this process's children when one is waited for, and no other child ends meanwhile.
    fn end(mut self) -> Result<End, Problem> {
        drop(self.child.stdin.take());
        let before = children_cpu()?;
        let status = self.child.wait().map_err(Problem::Process)?;
        let cpu = children_cpu()? - before;
        Ok(End { status, cpu })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already, unless something failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn children_cpu() -> Result<f64, Problem> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)
        .map_err(|errno| Problem::Process(std::io::Error::from(errno)))?;
    let times = [usage.user_time(), usage.system_time()];
    let seconds = times.map(|time| {
        #[expect(clippy::cast_precision_loss, reason = "seconds of processor time")]
        let (seconds, micros) = (time.tv_sec() as f64, time.tv_usec() as f64);
        seconds + micros / 1e6
    });
    Ok(seconds.iter().sum())
}

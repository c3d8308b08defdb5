//! One bout: a server process, a client process, and what both used.

use std::{
    env,
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Command, Stdio},
    time::Duration,
};

use msip_load::{Job, Load, Outcome};
use nix::sys::resource::{UsageWho, getrusage};

use crate::Problem;

/// What came of one bout.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bout {
    pub(super) outcome: Outcome,
    /// What the server's process used, from its start to its end, in seconds.
    pub(super) server_cpu: f64,
    /// What the client's process used.
    pub(super) client_cpu: f64,
}

/// Starts both, and sees them end.
pub(super) fn fight(
    contender: &str,
    workers: usize,
    load: Load,
    time: Duration,
) -> Result<Bout, Problem> {
    let mut server = start(contender, workers, "serve", &[])?;
    let port = first_line(&mut server, contender)?;
    let job = serde_json::to_string(&Job { load, time }).map_err(Problem::Json)?;
    let args = ["--port", port.trim(), "--job", &job];
    let mut client = start(contender, workers, "drive", &args)?;
    let mut said = String::new();
    if let Some(out) = &mut client.stdout {
        out.read_to_string(&mut said).map_err(Problem::Process)?;
    }
    let client_cpu = end(client, contender, load)?;
    let server_cpu = end(server, contender, load)?;
    let outcome = serde_json::from_str(&said).map_err(Problem::Json)?;
    Ok(Bout {
        outcome,
        server_cpu,
        client_cpu,
    })
}

fn start(contender: &str, workers: usize, face: &str, args: &[&str]) -> Result<Child, Problem> {
    Command::new(env::current_exe().map_err(Problem::Process)?)
        .args([face, "--contender", contender])
        .args(["--workers", &workers.to_string()])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(Problem::Process)
}

fn first_line(child: &mut Child, contender: &str) -> Result<String, Problem> {
    let mut line = String::new();
    if let Some(out) = child.stdout.as_mut() {
        // The line is all that a server says.
        BufReader::new(out)
            .read_line(&mut line)
            .map_err(Problem::Process)?;
    }
    if line.is_empty() {
        return Err(Problem::NoServer {
            contender: contender.to_owned(),
        });
    }
    Ok(line)
}

/// Lets a process end, and tells the seconds of processor time that it used.
///
/// The kernel adds to the use of this process's children when one is waited for; no other child ends meanwhile.
fn end(mut child: Child, contender: &str, load: Load) -> Result<f64, Problem> {
    drop(child.stdin.take());
    let before = children_cpu()?;
    let status = child.wait().map_err(Problem::Process)?;
    let after = children_cpu()?;
    if !status.success() {
        return Err(Problem::Failed {
            contender: contender.to_owned(),
            load: load.to_string(),
            status,
        });
    }
    Ok(after - before)
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

//! The processes of the show: hubs and devices that are children of this one, and how they are told to end.

use std::{
    env,
    error::Error,
    future::pending,
    io,
    process::{ExitStatus, Stdio},
    thread,
    time::Duration,
};

use msip_examples::stop_signal;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::sleep,
};

use crate::output::say;

/// Ready when this process is told to end: by Ctrl-C, by SIGTERM or, `with_input`, by the end of its input, which is how
/// a child notices that its parent is gone. Once this has returned, no signal ends the process by itself.
pub(crate) fn stopped(with_input: bool) -> io::Result<impl Future<Output = ()> + Send> {
    let signalled = stop_signal()?;
    let input_ended = with_input.then(|| {
        let (ended, input_ended) = oneshot::channel::<()>();
        // A thread of its own: the runtime would wait for one of tokio's.
        thread::spawn(move || {
            let _ = io::copy(&mut io::stdin(), &mut io::sink());
            drop(ended);
        });
        input_ended
    });
    Ok(async move {
        let input_ended = async {
            match input_ended {
                Some(ended) => drop(ended.await),
                None => pending().await,
            }
        };
        tokio::select! {
            () = signalled => {}
            () = input_ended => {}
        }
    })
}

/// A child process: this program in another part. Dropped, it is killed.
pub(crate) struct Process {
    child: Child,
    /// It ends when this is closed: also when this process is gone, however it ended.
    #[cfg_attr(unix, expect(dead_code, reason = "it is held open"))]
    input: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts this program with these arguments.
    pub(crate) fn start(args: &[&str]) -> io::Result<Self> {
        let mut child = Command::new(env::current_exe()?)
            .args(args)
            .arg("--with-input")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let input = child.stdin.take();
        let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let lines = BufReader::new(output).lines();
        Ok(Self {
            child,
            input,
            lines,
        })
    }

    /// Prints its lines up to the next that contains `what`, and returns what is behind that.
    pub(crate) async fn until(&mut self, what: &str) -> io::Result<String> {
        while let Some(line) = self.lines.next_line().await? {
            println!("{line}");
            if let Some((_, behind)) = line.split_once(what) {
                return Ok(behind.trim().to_owned());
            }
        }
        let text = format!("a process has ended before it said `{what}`");
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, text))
    }

    /// Prints its lines until it has ended.
    pub(crate) async fn ended(&mut self) -> io::Result<ExitStatus> {
        while let Some(line) = self.lines.next_line().await? {
            println!("{line}");
        }
        self.child.wait().await
    }

    /// Tells it to end, by SIGTERM or, where there is none, by the end of its input.
    pub(crate) async fn tell_to_end(&mut self) -> io::Result<()> {
        #[cfg(unix)]
        return self.signal("TERM").await;
        #[cfg(not(unix))]
        {
            self.input = None;
            Ok(())
        }
    }

    /// Kills it, as `kill -9` does.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.child.start_kill()
    }

    /// Sends it a signal: `STOP`, `CONT`, `TERM` or `KILL`.
    #[cfg(unix)]
    pub(crate) async fn signal(&self, name: &str) -> io::Result<()> {
        let id = self.child.id().ok_or(io::ErrorKind::NotFound)?;
        let args = [format!("-{name}"), id.to_string()];
        let status = Command::new("kill").args(args).status().await?;
        status
            .success()
            .then_some(())
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// What is done to a hub that runs.
enum Order {
    Kill,
    End,
}

/// A hub that is kept running: where it ends without having been told to, another is started at the same address.
pub(crate) struct KeptHub {
    pub(crate) url: String,
    orders: mpsc::Sender<Order>,
    keeper: JoinHandle<io::Result<ExitStatus>>,
}

impl KeptHub {
    pub(crate) async fn start() -> io::Result<Self> {
        let mut hub = Process::start(&["hub", "--url", "tcp://127.0.0.1:0"])?;
        let url = hub.until("listens at").await?;
        let (orders, receiver) = mpsc::channel(1);
        let keeper = tokio::spawn(keep(hub, url.clone(), receiver));
        Ok(Self {
            url,
            orders,
            keeper,
        })
    }

    /// Kills it, as `kill -9` does.
    pub(crate) async fn kill(&self) {
        // There is no keeper only if it has failed, which `end` returns.
        let _ = self.orders.send(Order::Kill).await;
    }

    /// Tells it to end, as SIGTERM does, and waits until it has.
    pub(crate) async fn end(mut self) -> Result<(), Box<dyn Error>> {
        let _ = self.orders.send(Order::End).await;
        let status = (&mut self.keeper).await??;
        status
            .success()
            .then_some(())
            .ok_or_else(|| format!("the hub has failed: {status}").into())
    }
}

impl Drop for KeptHub {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

async fn keep(
    mut hub: Process,
    url: String,
    mut orders: mpsc::Receiver<Order>,
) -> io::Result<ExitStatus> {
    let mut is_told_to_end = false;
    loop {
        tokio::select! {
            status = hub.ended() => {
                if is_told_to_end {
                    return status;
                }
                say("show", &format!("the hub has ended: {}; starting another", status?));
                hub = again(&url).await?;
            }
            Some(order) = orders.recv() => match order {
                Order::Kill => hub.kill()?,
                Order::End => {
                    is_told_to_end = true;
                    hub.tell_to_end().await?;
                }
            },
        }
    }
}

/// Starts a hub at this address, which somebody else may have taken for a moment.
async fn again(url: &str) -> io::Result<Process> {
    let mut tries = 1;
    loop {
        let mut hub = Process::start(&["hub", "--url", url])?;
        match hub.until("listens at").await {
            Ok(_) => return Ok(hub),
            Err(error) if tries == 50 => return Err(error),
            Err(_) => tries += 1,
        }
        sleep(Duration::from_millis(100)).await;
    }
}

//! MSIP through a broker: the server of `msip` attached to a broker, which is a process of its own.
//!
//! The processor time of the broker is that of the server's side: this process waits for it. Of idle connections the broker's memory
//! counts (`run::process`).

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use msip_load::Failure;
use msip_runtime::Server;

use msip_benches::{Echo, bench::Bench};

/// Where both ends meet.
const TOPIC: &str = "bench";

/// Serves until it is dropped.
pub(crate) async fn serve(announce: impl FnOnce(u16)) -> Result<(), Failure> {
    let (_broker, port) = Broker::start()?;
    let attached = Server::<Bench>::attach(url(port), Echo::default());
    let service = attached.await.map_err(Failure::library)?;
    announce(port);
    service.closed().await;
    Ok(())
}

/// The topic at the broker that listens at this port.
pub(crate) fn url(port: u16) -> String {
    format!("tcp://127.0.0.1:{port}/{TOPIC}")
}

/// The broker's process. Dropped, it is killed, and waited for.
struct Broker(Child);

impl Broker {
    fn start() -> Result<(Self, u16), Failure> {
        let mut child = Command::new(program()?)
            .args(["--listen", "tcp://127.0.0.1:0", "--log", "off"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take();
        let broker = Self(child);
        let mut line = String::new();
        if let Some(output) = output {
            BufReader::new(output).read_line(&mut line)?;
        }
        let port = line.trim().rsplit_once(':').map(|(_, port)| port.parse());
        match port {
            Some(Ok(port)) => Ok((broker, port)),
            _ => Err(Failure::Protocol(format!("the broker says `{line}`"))),
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// It is built next to this program, before the first trial.
fn program() -> Result<PathBuf, Failure> {
    Ok(std::env::current_exe()?.with_file_name("msip-broker"))
}

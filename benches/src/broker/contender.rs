//! The brokers that there are, and their processes.

use std::{
    env, fs,
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{TrialError, wire::Wire};
use crate::{problem::Problem, usage};

/// How long a broker may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// A broker that can be started.
#[derive(Debug, Clone)]
pub(super) struct Contender {
    pub(super) name: String,
    kind: Kind,
    program: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Msip,
    PlainLoop,
    Nats,
    Redis,
    Mosquitto,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::Msip,
        Self::PlainLoop,
        Self::Nats,
        Self::Redis,
        Self::Mosquitto,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Msip => "msip",
            Self::PlainLoop => "plain-loop",
            Self::Nats => "nats",
            Self::Redis => "redis",
            Self::Mosquitto => "mosquitto",
        }
    }

    const fn wire(self) -> Wire {
        match self {
            Self::Msip | Self::PlainLoop => Wire::Mip,
            Self::Nats => Wire::Nats,
            Self::Redis => Wire::Redis,
            Self::Mosquitto => Wire::Mqtt,
        }
    }

    /// The program of another project, where it is installed.
    fn installed(self) -> Option<PathBuf> {
        let name = match self {
            Self::Msip | Self::PlainLoop => return None,
            Self::Nats => "nats-server",
            Self::Redis => "redis-server",
            Self::Mosquitto => "mosquitto",
        };
        let path = env::var_os("PATH")?;
        // Debian keeps servers where only root looks.
        env::split_paths(&path)
            .chain([PathBuf::from("/usr/sbin")])
            .map(|folder| folder.join(name))
            .find(|program| program.is_file())
    }
}

/// Ours, those that are installed, and those that were named, if their names are among `only`, or that is empty.
pub(super) fn select(servers: &[String], only: &[String]) -> Result<Vec<Contender>, Problem> {
    let is_wanted = |name: &str| only.is_empty() || only.iter().any(|wanted| wanted == name);
    let own = env::current_exe().map_err(Problem::Process)?;
    let mut contenders = Vec::new();
    for kind in Kind::ALL {
        let name = kind.name().to_owned();
        if !is_wanted(&name) {
            continue;
        }
        let program = match kind {
            Kind::Msip => Some(build(&own)?),
            Kind::PlainLoop => Some(own.clone()),
            _ => kind.installed(),
        };
        contenders.extend(program.map(|program| Contender {
            name,
            kind,
            program,
        }));
    }
    for server in servers {
        let named = server.split_once('=').and_then(|(name, program)| {
            let kind = Kind::ALL
                .into_iter()
                .find(|kind| name.starts_with(kind.name()))?;
            Some(Contender {
                name: name.to_owned(),
                kind,
                program: program.into(),
            })
        });
        let contender = named.ok_or_else(|| Problem::Server(server.clone()))?;
        if is_wanted(&contender.name) {
            contenders.push(contender);
        }
    }
    Ok(contenders)
}

/// Builds the broker of this workspace, next to this program.
pub(crate) fn build(own: &Path) -> Result<PathBuf, Problem> {
    let target = own.ancestors().nth(2).unwrap_or(own);
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--locked", "--quiet"])
        .args(["--package", "msip-broker", "--bin", "msip-broker"])
        .arg("--manifest-path")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml"))
        .arg("--target-dir")
        .arg(target)
        .status()
        .map_err(Problem::Process)?;
    if !status.success() {
        return Err(Problem::Peers { status });
    }
    Ok(target.join("release/msip-broker"))
}

/// A broker's process, killed on drop.
pub(super) struct Broker {
    child: Child,
    pub(super) address: SocketAddr,
    pub(super) wire: Wire,
    /// Its configuration, where it wants one.
    file: Option<PathBuf>,
}

impl Broker {
    /// Starts one, and waits until it accepts connections.
    pub(super) fn start(contender: &Contender) -> Result<Self, TrialError> {
        let address = free_address()?;
        let port = address.port().to_string();
        let mut file = None;
        let mut command = Command::new(&contender.program);
        match contender.kind {
            Kind::Msip => command.args(["--listen", &format!("tcp://{address}")]),
            Kind::PlainLoop => command.args(["plain-loop", "--port", &port]),
            Kind::Nats => command.args(["--addr", "127.0.0.1", "--port", &port]),
            Kind::Redis => command.args(["--bind", "127.0.0.1", "--port", &port, "--save", ""]),
            Kind::Mosquitto => {
                let path = env::temp_dir().join(format!("msip-benches-mosquitto-{port}.conf"));
                let mut config = fs::File::create(&path)?;
                writeln!(config, "listener {port} 127.0.0.1\nallow_anonymous true")?;
                command.arg("-c").arg(&path);
                file = Some(path);
                &mut command
            }
        };
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|source| TrialError::Start {
                program: contender.program.display().to_string(),
                source,
            })?;
        let broker = Self {
            child,
            address,
            wire: contender.kind.wire(),
            file,
        };
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            if started.elapsed() > PATIENCE {
                return Err(TrialError::Silent {
                    broker: contender.name.clone(),
                    address: address.to_string(),
                });
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(broker)
    }

    pub(super) fn processor_time(&self) -> io::Result<Duration> {
        usage::processor_time(self.child.id())
    }

    /// Its resident memory, in bytes.
    pub(super) fn memory(&self) -> io::Result<f64> {
        usage::memory(self.child.id())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It is not asked to end well: the trial is over.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(file) = &self.file {
            let _ = fs::remove_file(file);
        }
    }
}

/// A port that nobody listens at: not all brokers tell which one they got.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

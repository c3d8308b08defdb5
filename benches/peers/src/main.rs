//! Peers of MSIP whose libraries are large: tonic and tarpc. `msip-benches run` builds and starts this program.

mod grpc;
mod grpc_stream;
mod nats;
mod tarpc;

use std::process::ExitCode;

use clap::Parser;
use msip_load::{Contender, Failure, Hold, Job, Outcome, Target, drive};

/// Peers of MSIP.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: msip_load::Command,
}

/// Which contender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Other {
    /// gRPC: a request for each call, one stream of messages.
    Tonic,
    /// The first over TLS.
    TonicTls,
    /// gRPC: calls as messages of one stream either way.
    TonicStream,
    /// tarpc, with bincode.
    Tarpc,
    /// NATS, with its server between.
    Nats,
}

impl Contender for Other {
    const ALL: &'static [Self] = &[
        Self::Tonic,
        Self::TonicTls,
        Self::TonicStream,
        Self::Tarpc,
        Self::Nats,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Tonic => "tonic",
            Self::TonicTls => "tonic-tls",
            Self::TonicStream => "tonic-stream",
            Self::Tarpc => "tarpc",
            Self::Nats => "nats",
        }
    }

    async fn serve(self, announce: impl FnOnce(u16) + Send) -> Result<(), Failure> {
        match self {
            Self::TonicTls => grpc::serve(true, announce).await,
            Self::Tonic | Self::TonicStream => grpc::serve(false, announce).await,
            Self::Tarpc => tarpc::serve(announce).await,
            Self::Nats => nats::serve(announce).await,
        }
    }

    async fn drive(self, port: u16, job: Job, hold: &mut Hold) -> Result<Outcome, Failure> {
        let scheme = if self == Self::TonicTls {
            "https"
        } else {
            "http"
        };
        let target = Target::new(port, format!("{scheme}://127.0.0.1:{port}"));
        match self {
            Self::Tonic | Self::TonicTls => drive::<grpc::Connection>(target, job, hold).await,
            Self::TonicStream => drive::<grpc_stream::Connection>(target, job, hold).await,
            Self::Tarpc => drive::<tarpc::Connection>(target, job, hold).await,
            Self::Nats => drive::<nats::Connection>(target, job, hold).await,
        }
    }
}

fn main() -> ExitCode {
    msip_load::exit_contender(msip_load::run_program::<Other>(Arguments::parse().command))
}

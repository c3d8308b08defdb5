//! File upload: a stream of requests, a progress bar, and cancellation.
//!
//! ```text
//! cargo run -p msip-examples --bin upload                                          (both ends, ends by itself)
//! cargo run -p msip-examples --bin upload -- serve --folder /tmp/files             (a server, until Ctrl-C)
//! cargo run -p msip-examples --bin upload -- send FILE --url tcp://127.0.0.1:7402  (sends a file; Ctrl-C gives it up)
//! ```
//!
//! A file is read as fast as the server accepts it, and neither end holds more than a few pieces of it: the stream's
//! flow control bounds both. The result is compared by its hash. Cancelling drops the call; the server's handler is
//! dropped too, and with it the partial file. `--rate` limits the sender's rate.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it tells people what happens"
)]

#[expect(unreachable_pub, reason = "the schema is written as for a library")]
mod schema;
mod source;
mod store;

use std::{error::Error, fmt::Write as _, future::pending, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use msip_examples::with_causes;
use msip_runtime::{Client, Server};
use schema::{SendClientToServer as _, Upload};
use source::{Parts, Progress};
use store::Store;
use tokio::{
    fs::File,
    io::{AsyncRead, AsyncReadExt as _},
    signal::ctrl_c,
    sync::{mpsc, oneshot},
};

/// The size of the file in the demonstration.
const DEMO: u64 = 4 * 1024 * 1024;

/// Sends files.
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Takes files
    Serve {
        /// Where they are kept
        #[arg(long)]
        folder: PathBuf,

        /// Where to listen
        #[arg(long, default_value = "tcp://127.0.0.1:7402")]
        url: String,
    },
    /// Sends a file
    Send {
        /// The file
        file: PathBuf,

        /// Where the server is
        #[arg(long, default_value = "tcp://127.0.0.1:7402")]
        url: String,

        /// The most bytes a second
        #[arg(long)]
        rate: Option<u64>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Args::parse().command {
        None => demonstrate().await.map(|()| true),
        Some(Command::Serve { folder, url }) => serve(folder, &url).await.map(|()| true),
        Some(Command::Send { file, url, rate }) => send(file, &url, rate).await,
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        // The exit code of a shell after Ctrl-C.
        Ok(false) => ExitCode::from(130),
        Err(error) => {
            eprintln!("error: {}", with_causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn serve(folder: PathBuf, url: &str) -> Result<(), Box<dyn Error>> {
    tokio::fs::create_dir_all(&folder).await?;
    let server = Server::<Upload>::bind(url).await?;
    println!("listening at {} (Ctrl-C stops)", server.local_url());
    let store = Store::new(folder, |line| println!("  server  {line}"));
    let stop = async {
        // Without signals there is nothing to wait for.
        if ctrl_c().await.is_err() {
            pending::<()>().await;
        }
    };
    server.serve_until(store, stop).await;
    Ok(())
}

/// Sends a file. `false` where it was cancelled.
async fn send(file: PathBuf, url: &str, rate: Option<u64>) -> Result<bool, Box<dyn Error>> {
    let name = file.file_name().and_then(|name| name.to_str());
    let name = name.ok_or("the file has no name that can be sent")?;
    let opened = File::open(&file).await?;
    let size = opened.metadata().await?.len();
    let client = Client::<Upload>::connect(url).await?;
    let (parts, progress) = Parts::of(name, size, opened, rate);
    let is_sent = tokio::select! {
        sent = upload(&client, parts, &progress) => {
            sent?;
            true
        }
        // The upload is dropped, which cancels it at the server.
        _ = ctrl_c() => {
            println!("  client  gives up at {} %", progress.percent());
            false
        }
    };
    client.close().await;
    Ok(is_sent)
}

/// Sends the parts, and compares what the server has stored.
async fn upload(
    client: &Client<Upload>,
    parts: Parts<impl AsyncRead + Send + Unpin + 'static>,
    progress: &Progress,
) -> Result<(), Box<dyn Error>> {
    let stored = client.upload_req(parts).await?;
    if stored.sha256 != progress.sha256() {
        return Err("the server has other bytes than were sent".into());
    }
    println!(
        "  both    have {} bytes, sha256 {}",
        stored.size,
        hex(&stored.sha256)
    );
    Ok(())
}

/// Sends one file completely, and cancels another.
async fn demonstrate() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("msip-upload-{}", std::process::id()));
    tokio::fs::create_dir_all(&folder).await?;
    let outcome = demonstrate_in(folder.clone()).await;
    tokio::fs::remove_dir_all(&folder).await?;
    outcome
}

async fn demonstrate_in(folder: PathBuf) -> Result<(), Box<dyn Error>> {
    let server = Server::<Upload>::bind("tcp://127.0.0.1:0").await?;
    let url = server.local_url().to_string();
    let (told, mut lines) = mpsc::channel(2);
    let store = Store::new(folder.clone(), move |line| {
        // One for each of the two files. The receiver is closed where this has failed.
        let _ = told.try_send(line.to_owned());
    });
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve_until(store, async {
        // It is dropped only where this has failed.
        let _ = stopped.await;
    }));
    let client = Client::<Upload>::connect(&url).await?;

    println!("A file is sent");
    let zeros = || tokio::io::repeat(7).take(DEMO);
    let (parts, progress) = Parts::of("whole.bin", DEMO, zeros(), None);
    upload(&client, parts, &progress).await?;
    println!("  server  {}", lines.recv().await.ok_or("no server")?);

    println!("\nAnother one is given up halfway");
    // The second half is never sent.
    let (endless, held) = tokio::io::duplex(1);
    let half = zeros().take(DEMO / 2).chain(endless);
    let (parts, progress) = Parts::of("half.bin", DEMO, half, None);
    tokio::select! {
        sent = upload(&client, parts, &progress) => {
            sent?;
            return Err("half a file was taken for a whole one".into());
        }
        () = progress.reaches(50) => println!("  client  gives up at {} %", progress.percent()),
    }
    drop(held);
    println!("  server  {}", lines.recv().await.ok_or("no server")?);

    client.close().await;
    // The server waits for it.
    let _ = stop.send(());
    serving.await?;
    let mut names = Vec::new();
    let mut entries = tokio::fs::read_dir(&folder).await?;
    while let Some(entry) = entries.next_entry().await? {
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    println!("\nIn the folder: {}", names.join(", "));
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

//! Makes an API key: prints it once, and the line by which a server knows it.
//!
//! ```text
//! cargo run -q -p msip-examples --bin api-key -- ada --role operator --expires 2027-01-31
//! ```
//!
//! Append the line to the file that the server reads with `ApiKeys::from_file`, and hand the key to its owner. docs/identity.md
//! says how a key is replaced.

#![expect(
    clippy::print_stdout,
    reason = "the key and its line are what the program is for"
)]

use std::error::Error;

use clap::Parser;
use msip_runtime::auth::{ApiKey, ApiKeyEntry};

/// Makes an API key: prints it once, and its line in the server's file of keys.
#[derive(Debug, Parser)]
struct Options {
    /// Whose key it is.
    name: String,
    /// What its owner may do; can be given several times.
    #[arg(long)]
    role: Vec<String>,
    /// Whether the owner is a program that connects on its own behalf, rather than a user.
    #[arg(long)]
    service: bool,
    /// When it ends: a day, such as 2027-01-31, or a time, such as 2027-01-31T12:00:00Z.
    #[arg(long)]
    expires: Option<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let key = ApiKey::generate()?;
    let mut entry = key.entry(&options.name);
    for role in options.role {
        entry = entry.with_role(role);
    }
    if options.service {
        entry = entry.of_service();
    }
    let mut line = entry.to_string();
    if let Some(expires) = options.expires {
        line = format!("{line} expires={expires}");
    }
    // As the server will read it: what is wrong is told here.
    let line: ApiKeyEntry = line.parse()?;
    println!("key (hand it to {}; it is not shown again):", options.name);
    println!("{}", key.as_str());
    println!("line of the file of keys:");
    println!("{line}");
    Ok(())
}

//! What is shipped beside the program.

use std::{fs, path::PathBuf};

use msip_broker::{Config, config::OPTIONS};

fn file(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../packaging")
        .join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_image_and_the_unit_use_options_that_there_are() {
    for (name, start) in [
        ("Dockerfile", "ENTRYPOINT"),
        ("msip-broker.service", "ExecStart="),
    ] {
        let text = file(name);
        let commands: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with(start))
            .collect();
        assert_eq!(commands.len(), 1, "{name}");
        let words = commands[0].split([' ', '"', ',', '[', ']', '=']);
        let options: Vec<_> = words.filter_map(|word| word.strip_prefix("--")).collect();
        assert!(!options.is_empty(), "{name}");
        for option in options {
            assert!(
                OPTIONS.iter().any(|known| known.name == option),
                "{name}: --{option}"
            );
        }
    }
}

/// The image cannot be built everywhere: what its file names has to be there.
#[test]
fn the_image_is_built_from_what_there_is() {
    let text = file("Dockerfile");
    let copied = text.lines().filter_map(|line| line.strip_prefix("COPY "));
    let copied: Vec<Vec<_>> = copied.map(|line| line.split(' ').collect()).collect();
    let program = env!("CARGO_PKG_NAME");
    let (built, installed) = (
        format!("/source/target/release/{program}"),
        format!("/{program}"),
    );
    let of_program = vec!["--from=build", &built, &installed];
    assert_eq!(copied, [vec![".", "."], of_program]);
    let build = format!("RUN cargo build --release --locked -p {program}");
    assert!(text.lines().any(|line| line == build), "{text}");
    assert!(text.contains("\nWORKDIR /source\n"), "{text}");
    assert!(
        text.contains(&format!("ENTRYPOINT [\"/{program}\"")),
        "{text}"
    );
    // The port of its example, and the folder of its files, are those of the configuration.
    let config = file("broker.toml");
    assert!(config.contains("tls://0.0.0.0:9000") && text.contains("\nEXPOSE 9000\n"));
    assert!(text.contains("/etc/msip-broker/broker.toml") && config.contains("/etc/msip-broker/"));
    // What is left out of the context is neither a crate nor its lock file.
    let ignored = file("Dockerfile.dockerignore");
    let ignored: Vec<_> = ignored
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    assert_eq!(ignored, [".git", "**/target"]);
}

#[test]
fn the_example_of_a_configuration_is_one() {
    let config =
        Config::from_toml(&file("broker.toml")).unwrap_or_else(|errors| panic!("{errors}"));
    config.check().unwrap_or_else(|errors| panic!("{errors}"));
    assert_ne!(config, Config::default());
}

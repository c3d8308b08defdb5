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

#[test]
fn the_example_of_a_configuration_is_one() {
    let config =
        Config::from_toml(&file("broker.toml")).unwrap_or_else(|errors| panic!("{errors}"));
    config.check().unwrap_or_else(|errors| panic!("{errors}"));
    assert_ne!(config, Config::default());
}

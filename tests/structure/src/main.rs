//! Prints the module circles, the edges or a picture of a crate.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the terminal"
)]

use std::{error::Error, process::ExitCode};

use msip_structure::{Crate, Package, Picture, Subject, Workspace};

const USAGE: &str = "\
cargo run -p msip-structure                      circles of all crates, in short
cargo run -p msip-structure -- <crate>           circles of one, with all uses; a package's name or its folder
cargo run -p msip-structure -- <crate> --edges   what each top module uses of the others, as well
cargo run -p msip-structure -- picture <crate>   the modules as a Mermaid block for the docs
cargo run -p msip-structure -- picture crates    the crates as one
cargo run -p msip-structure -- picture <..> --all   with the edges that a longer way replaces
Ends with 1 where there is a circle, and with 2 where the code cannot be read.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &[String]) -> Result<ExitCode, Box<dyn Error>> {
    let workspace = Workspace::read(&Workspace::own_folder())?;
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => {
            let mut circles = 0;
            for package in &workspace.packages {
                circles += print_circles(&workspace, package, false)?;
            }
            Ok(code(circles))
        }
        ["picture", name] => print_picture(&workspace, name, true),
        ["picture", name, "--all"] => print_picture(&workspace, name, false),
        [name] if !name.starts_with('-') => {
            let package = package(&workspace, name)?;
            Ok(code(print_circles(&workspace, package, true)?))
        }
        [name, "--edges"] => {
            let package = package(&workspace, name)?;
            let circles = print_circles(&workspace, package, true)?;
            print_edges(&workspace, package)?;
            Ok(code(circles))
        }
        _ => Err(USAGE.into()),
    }
}

fn print_picture(
    workspace: &Workspace,
    name: &str,
    is_reduced: bool,
) -> Result<ExitCode, Box<dyn Error>> {
    let (subject, graph) = if name == "crates" {
        (Subject::Crates, workspace.graph())
    } else {
        let package = package(workspace, name)?;
        let target = package.targets.first().ok_or("no library and no binary")?;
        let graph = Crate::read(&workspace.folder, &target.root)?.root_graph();
        (Subject::Modules(package.name.clone()), graph)
    };
    print!("{}", Picture::print(&subject, &graph, is_reduced));
    Ok(ExitCode::SUCCESS)
}

fn code(circles: usize) -> ExitCode {
    match circles {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn package<'a>(workspace: &'a Workspace, name: &str) -> Result<&'a Package, String> {
    let name = name.trim_end_matches('/');
    workspace
        .packages
        .iter()
        .find(|package| package.name == name || package.folder.as_os_str() == name)
        .ok_or_else(|| format!("no package `{name}`\n\n{USAGE}"))
}

fn print_circles(
    workspace: &Workspace,
    package: &Package,
    is_whole: bool,
) -> Result<usize, Box<dyn Error>> {
    let mut count = 0;
    for target in &package.targets {
        let circles = Crate::read(&workspace.folder, &target.root)?.circles();
        println!(
            "{} ({}): {} circles",
            package.name,
            target.name,
            circles.len()
        );
        count += circles.len();
        for circle in &circles {
            match is_whole {
                true => println!("\n{}", circle.details()),
                false => println!("{circle}\n"),
            }
        }
    }
    Ok(count)
}

fn print_edges(workspace: &Workspace, package: &Package) -> Result<(), Box<dyn Error>> {
    for target in &package.targets {
        let levels = Crate::read(&workspace.folder, &target.root)?.levels();
        for level in levels.iter().filter(|level| level.path.is_empty()) {
            println!(
                "{} ({}), edges in {}:",
                package.name,
                target.name,
                level.name()
            );
            for ((from, to), uses) in &level.edges {
                println!("  {from} -> {to} ({})", uses.len());
                for found in uses.iter().take(3) {
                    println!("    {found}");
                }
            }
        }
    }
    Ok(())
}

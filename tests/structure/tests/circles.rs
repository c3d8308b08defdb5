//! No crate of the workspace has modules that use each other in a circle.

use msip_structure::{Crate, Workspace};

#[test]
fn no_modules_use_each_other_in_a_circle() {
    let workspace = Workspace::read(&Workspace::own_folder()).expect("the workspace's manifests");
    let mut report = String::new();
    let mut targets = 0;
    for package in &workspace.packages {
        for target in &package.targets {
            targets += 1;
            let name = format!("{} ({})", package.name, target.name);
            match Crate::read(&workspace.folder, &target.root) {
                Ok(found) => {
                    for circle in found.circles() {
                        report.push_str(&format!("{name}: {circle}\n\n"));
                    }
                }
                Err(problems) => report.push_str(&format!("{name}:\n{problems}\n\n")),
            }
        }
    }
    assert!(targets > workspace.packages.len(), "libraries and binaries");
    assert!(
        report.is_empty(),
        "{report}All uses: cargo run -p msip-structure -- <crate>"
    );
}

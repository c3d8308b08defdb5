//! The pictures of docs/architecture.md show what the code has.

use std::{fs, path::Path};

use msip_structure::{Crate, Picture, Subject, Workspace};

#[test]
fn the_pictures_show_what_the_code_has() {
    let workspace = Workspace::read(&Workspace::own_folder()).expect("the workspace's manifests");
    let file = Path::new("docs/architecture.md");
    let text = fs::read_to_string(workspace.folder.join(file)).expect("the document");
    let pictures = Picture::read(file, &text).expect("pictures that are understood");
    assert!(
        pictures.iter().any(|one| one.subject == Subject::Crates),
        "a picture of the crates"
    );
    let mut report = String::new();
    for picture in pictures {
        let (graph, again) = match &picture.subject {
            Subject::Crates => (workspace.graph(), "crates"),
            Subject::Modules(name) => {
                let package = workspace.packages.iter().find(|one| one.name == *name);
                let package = package.unwrap_or_else(|| panic!("no package {name}"));
                let root = &package.targets.first().expect("a library").root;
                let found = Crate::read(&workspace.folder, root).expect("code that is understood");
                (found.root_graph(), name.as_str())
            }
        };
        for difference in picture.differences(&graph) {
            let at = format!("{}:{}", file.display(), picture.line);
            report.push_str(&format!("{at}: {difference}\n"));
            report.push_str(&format!(
                "  (cargo run -p msip-structure -- picture {again})\n"
            ));
        }
    }
    assert!(report.is_empty(), "{report}");
}

//! What the pages of the languages show: the schema of a shop, and a program that speaks it in each language.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The first block of a language in the section about one's own schema of a page.
pub(crate) fn block(page: &str, language: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(page);
    let text = fs::read_to_string(path).expect("a page");
    let (_, section) = text.split_once("## Your own schema").expect("a section");
    let begin = format!("```{language}\n");
    let (_, block) = section.split_once(&begin).expect("a block");
    block.split("```").next().expect("its end").to_owned()
}

/// Writes the schema of a page into a folder, and returns where.
pub(crate) fn schema(page: &str, folder: &Path) -> PathBuf {
    let path = folder.join("shop.proto");
    fs::write(&path, block(page, "proto")).expect("written");
    path
}

//! The languages of a run: where each is written, and what.

use std::path::PathBuf;
use std::sync::Arc;

use msip_emit::{Compilation, Emitter};

use super::Builder;
use crate::error::CompileError;
use crate::output::Generated;
use crate::rust::{RustEmitter, Settings};

/// A language of a run, and its output folder.
pub(super) struct Language {
    pub(super) folder: PathBuf,
    pub(super) emitter: Arc<dyn Emitter>,
}

impl Builder {
    /// The output of all languages.
    pub(super) fn emit(
        &self,
        mut compilation: Compilation,
        languages: &[Language],
    ) -> Result<Generated, CompileError> {
        if self.named_by_import {
            for file in &mut compilation.files {
                file.path.clone_from(&file.name);
            }
        }
        let mut generated = Generated::default();
        for Language { folder, emitter } in languages {
            let files = emitter.emit(&compilation).map_err(CompileError::setting)?;
            for file in files {
                generated.add(folder, emitter.language(), file)?;
            }
        }
        if let Some(path) = &self.descriptor_set {
            let set = compilation.descriptor_set(0..compilation.files.len());
            generated.add_at(path.clone(), set);
        }
        Ok(generated)
    }

    /// Every language of the run, Rust first.
    pub(super) fn languages(&self) -> Result<Vec<Language>, CompileError> {
        let mut languages = Vec::new();
        if !self.without_rust {
            let rust = RustEmitter::new(Settings {
                // A tree of one package would only be one more file to read in a review.
                omits_single_tree: self.checked_in,
                ..self.settings.clone()
            });
            languages.push(Language {
                folder: self.output_folder()?,
                emitter: Arc::new(rust),
            });
        }
        for (folder, emitter) in &self.emitters {
            let folder = match folder {
                Some(folder) => folder.clone(),
                None => self.output_folder()?,
            };
            languages.push(Language {
                folder,
                emitter: Arc::clone(emitter),
            });
        }
        Ok(languages)
    }

    fn output_folder(&self) -> Result<PathBuf, CompileError> {
        if let Some(folder) = &self.out_dir {
            return Ok(folder.clone());
        }
        let folder = std::env::var_os("OUT_DIR").map(|folder| PathBuf::from(folder).join("msip"));
        folder.ok_or_else(|| {
            CompileError::setting("no folder to write to: OUT_DIR is set in build scripts only, elsewhere call `out_dir`")
        })
    }
}

pub(super) fn emitters(languages: &[Language]) -> Vec<&dyn Emitter> {
    let languages = languages.iter();
    languages.map(|language| &*language.emitter).collect()
}

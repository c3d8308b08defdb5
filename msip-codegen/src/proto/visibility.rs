//! Visibility: which files see the types of which others.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use super::files::ProtoFile;

/// The imports of all files.
///
/// What a file sees is found when it is asked for: with public imports every file may see every other, so that all that
/// is seen grows with the square of the files.
#[derive(Debug)]
pub(crate) struct Visibility {
    /// The files that each file imports.
    imports: Vec<HashSet<usize>>,
    /// The files that import each file publicly.
    passed_on_by: Vec<Vec<usize>>,
    /// For files that were asked for, those whose importers see them, one bit for each file.
    reached: RefCell<HashMap<usize, Rc<[u64]>>>,
    /// The answers so far.
    seen: RefCell<HashMap<(usize, usize), bool>>,
}

impl Visibility {
    pub(crate) fn new(files: &[ProtoFile]) -> Self {
        let mut passed_on_by = vec![Vec::new(); files.len()];
        for (index, file) in files.iter().enumerate() {
            let public = file.descriptor.public_dependency.iter();
            let public: BTreeSet<&str> = public
                .filter_map(|&position| {
                    let position = usize::try_from(position).ok()?;
                    file.descriptor.dependency.get(position).map(String::as_str)
                })
                .collect();
            for &import in &file.imports {
                let is_public = files
                    .get(import)
                    .is_some_and(|file| public.contains(file.name.as_str()));
                if let Some(importers) = passed_on_by.get_mut(import)
                    && is_public
                {
                    importers.push(index);
                }
            }
        }
        Self {
            imports: files
                .iter()
                .map(|file| file.imports.iter().copied().collect())
                .collect(),
            passed_on_by,
            reached: RefCell::default(),
            seen: RefCell::default(),
        }
    }

    /// Whether a file sees the types of another: its own, those of its imports and of what those import publicly.
    pub(crate) fn sees(&self, file: usize, other: usize) -> bool {
        let Some(imports) = self.imports.get(file) else {
            return false;
        };
        if file == other || imports.contains(&other) {
            return true;
        }
        if self.passed_on_by.get(other).is_none_or(Vec::is_empty) {
            return false;
        }
        if let Some(known) = self.seen.borrow().get(&(file, other)) {
            return *known;
        }
        let reached = self.reached(other);
        let sees = imports.iter().any(|&import| has(&reached, import));
        self.seen.borrow_mut().insert((file, other), sees);
        sees
    }

    /// The files whose importers see this one.
    fn reached(&self, file: usize) -> Rc<[u64]> {
        if let Some(known) = self.reached.borrow().get(&file) {
            return Rc::clone(known);
        }
        let mut bits = vec![0; self.imports.len().div_ceil(64)];
        let mut open = vec![file];
        while let Some(next) = open.pop() {
            if !set(&mut bits, next) {
                continue;
            }
            let importers = self.passed_on_by.get(next);
            open.extend(importers.into_iter().flatten());
        }
        let bits: Rc<[u64]> = bits.into();
        self.reached.borrow_mut().insert(file, Rc::clone(&bits));
        bits
    }
}

fn has(bits: &[u64], index: usize) -> bool {
    bits.get(index / 64)
        .is_some_and(|word| word >> (index % 64) & 1 == 1)
}

/// Sets a bit, and returns whether it was not set.
fn set(bits: &mut [u64], index: usize) -> bool {
    let bit = 1_u64 << (index % 64);
    let Some(word) = bits.get_mut(index / 64) else {
        return false;
    };
    let is_new = *word & bit == 0;
    *word |= bit;
    is_new
}

//! What a folder holds at one moment.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
    path::{Path, PathBuf},
};

use msip_schema::compare::{Description, Sides, compare};

use super::{
    RegistryError,
    folder::{self, Stamp},
};
use crate::ProtocolModel;

/// The protocols of a folder, as it was when it was read.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    models: Vec<ProtocolModel>,
    conflicts: Vec<Conflict>,
}

/// Two files that hold one protocol in two versions. The first is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conflict {
    /// The package.
    pub package: String,
    /// The file that is taken, and its fingerprint.
    pub taken: (PathBuf, u64),
    /// The file that does not fit.
    pub other: (PathBuf, u64),
    /// What differs.
    pub differences: Vec<String>,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (taken, ours) = &self.taken;
        let (other, theirs) = &self.other;
        write!(
            f,
            "{}: {other:?} ({theirs:016x}) does not fit {taken:?} ({ours:016x}), which is taken",
            self.package
        )?;
        for difference in &self.differences {
            write!(f, "; {difference}")?;
        }
        Ok(())
    }
}

impl Loaded {
    /// The protocols, by package.
    #[must_use]
    pub fn models(&self) -> &[ProtocolModel] {
        &self.models
    }

    /// Files that hold a protocol in another version than an earlier file.
    #[must_use]
    pub fn conflicts(&self) -> &[Conflict] {
        &self.conflicts
    }

    pub(super) fn read(files: &[Stamp]) -> Result<Self, RegistryError> {
        let mut found: BTreeMap<String, (PathBuf, ProtocolModel)> = BTreeMap::new();
        let mut conflicts = Vec::new();
        for file in files {
            let bytes = folder::read(file)?;
            let models = ProtocolModel::from_descriptor_set(&bytes).map_err(|source| {
                RegistryError::Schema {
                    path: file.path.clone(),
                    source,
                }
            })?;
            for model in models {
                match found.entry(model.schema().package().to_owned()) {
                    Entry::Vacant(place) => {
                        place.insert((file.path.clone(), model));
                    }
                    Entry::Occupied(place) => {
                        let (path, taken) = place.get();
                        conflicts.extend(conflict(path, taken, &file.path, &model));
                    }
                }
            }
        }
        let models = found.into_values().map(|(_, model)| model).collect();
        Ok(Self { models, conflicts })
    }
}

fn conflict(
    path: &Path,
    taken: &ProtocolModel,
    other_path: &Path,
    other: &ProtocolModel,
) -> Option<Conflict> {
    let (ours, theirs) = (taken.schema().fingerprint(), other.schema().fingerprint());
    if ours == theirs {
        return None;
    }
    let comparison = compare(
        &Description::of(taken.schema()),
        &Description::of(other.schema()),
    );
    let sides = Sides {
        ours: "in the first",
        theirs: "in the other",
    };
    let differences = comparison.differences().iter();
    Some(Conflict {
        package: taken.schema().package().to_owned(),
        taken: (path.to_owned(), ours),
        other: (other_path.to_owned(), theirs),
        differences: differences
            .map(|difference| difference.text(sides))
            .collect(),
    })
}

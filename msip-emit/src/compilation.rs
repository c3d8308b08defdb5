//! The result of a front end: everything that an emitter may need to know of the files.

use std::collections::BTreeSet;

use msip_schema::{Schema, Types};

/// Files that were compiled together, without mistakes.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Compilation {
    /// The files, each after those that it imports.
    pub files: Vec<SourceFile>,
    /// The protocols, in the order in which their files were named.
    pub protocols: Vec<Protocol>,
    /// Every message and enum of every file.
    pub types: Types,
}

/// One file of a schema.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct SourceFile {
    /// Its name, as imports spell it.
    pub name: String,
    /// Its path as people know it, relative to the project if possible.
    pub path: String,
    /// Its package, which is empty for a file without one.
    pub package: String,
    /// Whether it was named by the user; the others are imported.
    pub is_input: bool,
    /// The files that it imports, as indices into [`Compilation::files`].
    pub imports: Vec<usize>,
    /// The file as an encoded `google.protobuf.FileDescriptorProto`, with its options and without comments.
    pub descriptor: Vec<u8>,
}

/// A protocol, and the file that declares it.
#[derive(Debug, Clone)]
pub struct Protocol {
    /// The index of its file in [`Compilation::files`].
    pub file: usize,
    /// The protocol.
    pub schema: Schema,
}

impl Compilation {
    /// The packages of the files that the user has named: those that code is wanted for.
    #[must_use]
    pub fn packages(&self) -> BTreeSet<&str> {
        let inputs = self.files.iter().filter(|file| file.is_input);
        inputs.map(|file| file.package.as_str()).collect()
    }

    /// These files and all that they import, directly or not, as indices in ascending order: each after its imports.
    pub fn with_imports(&self, files: impl IntoIterator<Item = usize>) -> BTreeSet<usize> {
        let mut open: Vec<usize> = files.into_iter().collect();
        let mut seen = BTreeSet::new();
        while let Some(index) = open.pop() {
            if let Some(file) = self.files.get(index)
                && seen.insert(index)
            {
                open.extend(&file.imports);
            }
        }
        seen
    }

    /// These files as an encoded `google.protobuf.FileDescriptorSet`.
    pub fn descriptor_set(&self, files: impl IntoIterator<Item = usize>) -> Vec<u8> {
        let mut bytes = Vec::new();
        for file in files.into_iter().filter_map(|index| self.files.get(index)) {
            // Field 1 of the set, once for each file.
            bytes.push(0x0a);
            write_varint(file.descriptor.len(), &mut bytes);
            bytes.extend_from_slice(&file.descriptor);
        }
        bytes
    }
}

fn write_varint(mut value: usize, out: &mut Vec<u8>) {
    loop {
        // The lowest seven bits always fit.
        let bits = u8::try_from(value & 0x7f).unwrap_or_default();
        value >>= 7;
        if value == 0 {
            out.push(bits);
            return;
        }
        out.push(bits | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(package: &str, is_input: bool, imports: &[usize], descriptor: &[u8]) -> SourceFile {
        SourceFile {
            package: package.to_owned(),
            is_input,
            imports: imports.to_vec(),
            descriptor: descriptor.to_vec(),
            ..SourceFile::default()
        }
    }

    #[test]
    fn imports_are_followed_however_far() {
        let compilation = Compilation {
            files: vec![
                file("base", false, &[], b"a"),
                file("other", false, &[], b"b"),
                file("shared", false, &[0], b"c"),
                file("chat", true, &[2], &[7; 300]),
            ],
            ..Compilation::default()
        };
        assert_eq!(
            compilation.packages().into_iter().collect::<Vec<_>>(),
            ["chat"]
        );
        let files = compilation.with_imports([3]);
        assert_eq!(files.iter().copied().collect::<Vec<_>>(), [0, 2, 3]);
        let set = compilation.descriptor_set(files);
        assert_eq!(set[..9], [0x0a, 1, b'a', 0x0a, 1, b'c', 0x0a, 0xac, 0x02]);
        assert_eq!(set.len(), 9 + 300);
        assert!(compilation.with_imports([9]).is_empty());
    }
}

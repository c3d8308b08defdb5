//! Paths of types: modules and names by prost's rules.

pub(crate) use msip_emit::rust::names::{field_name, type_name};
use proc_macro2::TokenStream;

/// The paths of prost and of the well-known types in the runtime, the only crate that users depend on.
pub(crate) const PROST: &str = "::msip_runtime::prost";
pub(crate) const PROST_TYPES: &str = "::msip_runtime::prost_types";

/// The modules of a package.
pub(crate) fn package_modules(package: &str) -> Vec<String> {
    package
        .split('.')
        .filter(|segment| !segment.is_empty())
        .map(field_name)
        .collect()
}

/// External types: well-known ones, and those that the user has in another crate.
#[derive(Debug, Clone)]
pub(crate) struct ExternPaths {
    /// Each with a leading dot.
    paths: Vec<(String, String)>,
}

impl ExternPaths {
    pub(crate) fn new(user: &[(String, String)]) -> Self {
        let string = "::std::string::String".to_owned();
        let bytes = "::std::vec::Vec<u8>".to_owned();
        let wrappers = [
            ("BoolValue", "bool"),
            ("BytesValue", &bytes),
            ("DoubleValue", "f64"),
            ("Empty", "()"),
            ("FloatValue", "f32"),
            ("Int32Value", "i32"),
            ("Int64Value", "i64"),
            ("StringValue", &string),
            ("UInt32Value", "u32"),
            ("UInt64Value", "u64"),
        ];
        let wrappers =
            wrappers.map(|(name, path)| (format!(".google.protobuf.{name}"), path.to_owned()));
        let well_known = [(".google.protobuf".to_owned(), PROST_TYPES.to_owned())];
        Self {
            paths: user
                .iter()
                .cloned()
                .chain(wrappers)
                .chain(well_known)
                .collect(),
        }
    }

    /// The path of an external type.
    pub(crate) fn resolve(&self, full: &str) -> Option<String> {
        let dotted = format!(".{full}");
        if let Some((_, path)) = self.paths.iter().find(|(name, _)| *name == dotted) {
            return Some(path.clone());
        }
        // The longest prefix that ends at a dot.
        dotted.rmatch_indices('.').find_map(|(at, _)| {
            let (prefix, rest) = (dotted.get(..at)?, dotted.get(at + 1..)?);
            let (_, path) = self.paths.iter().find(|(name, _)| name == prefix)?;
            let (modules, short) = rest.rsplit_once('.').unwrap_or(("", rest));
            let modules = modules
                .split('.')
                .filter(|module| !module.is_empty())
                .map(field_name);
            let parts: Vec<String> = std::iter::once(path.clone())
                .chain(modules)
                .chain([type_name(short)])
                .collect();
            Some(parts.join("::"))
        })
    }
}

/// The path of a type from the module of a package.
pub(crate) fn type_path(full: &str, package: &str, externs: &ExternPaths) -> TokenStream {
    let path = externs.resolve(full).unwrap_or_else(|| {
        let (scope, short) = full.rsplit_once('.').unwrap_or(("", full));
        let mut here = package
            .split('.')
            .filter(|segment| !segment.is_empty())
            .peekable();
        let mut there = scope
            .split('.')
            .filter(|segment| !segment.is_empty())
            .peekable();
        while here.peek().is_some() && here.peek() == there.peek() {
            here.next();
            there.next();
        }
        let up = here.map(|_| "super".to_owned());
        let parts: Vec<String> = up
            .chain(there.map(field_name))
            .chain([type_name(short)])
            .collect();
        parts.join("::")
    });
    // Names are identifiers and the user's paths were parsed when they were given, so this is always a path.
    path.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_prost() {
        let externs = ExternPaths::new(&[(".shared".to_owned(), "::shared_types::v1".to_owned())]);
        for (full, package, expected) in [
            ("chat.ConnectReq", "chat", "ConnectReq"),
            ("chat.Outer.Inner", "chat", "outer::Inner"),
            ("fleet.geo.v1.Point", "fleet.v1", "super::geo::v1::Point"),
            ("type.Self", "a.b", "super::super::r#type::Self_"),
            ("a.extern.X", "a", "extern_::X"),
            ("Point", "", "Point"),
            (
                "google.protobuf.Timestamp",
                "a",
                "::msip_runtime::prost_types::Timestamp",
            ),
            ("google.protobuf.StringValue", "a", "::std::string::String"),
            ("google.protobuf.Empty", "a", "()"),
            ("shared.geo.Point", "a", "::shared_types::v1::geo::Point"),
        ] {
            let expected: TokenStream = expected.parse().unwrap();
            assert_eq!(
                type_path(full, package, &externs).to_string(),
                expected.to_string(),
                "{full} in {package}"
            );
        }
    }
}

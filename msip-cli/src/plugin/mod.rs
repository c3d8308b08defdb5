//! The plugin: from a request of `protoc` or `buf` to its response.

mod parameter;
mod request;
mod response;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::language;
use parameter::Parameter;
use request::Request;
pub use request::RequestError;

/// The response to a `google.protobuf.compiler.CodeGeneratorRequest`, both encoded. What is wrong with the schemas, or with the
/// parameter, is the error of the response, in the words of [`msip_codegen::CompileError`].
///
/// # Errors
///
/// The request is malformed.
pub fn respond(request: &[u8]) -> Result<Vec<u8>, RequestError> {
    let request = Request::decode(request)?;
    Ok(match generate(&request) {
        Ok(generated) => response::files(generated.files()),
        Err(text) => response::error(&text),
    })
}

fn generate(request: &Request) -> Result<msip_codegen::Generated, String> {
    let parameter = Parameter::parse(&request.parameter)?;
    whole_packages(request)?;
    let builder = language::builder(&parameter.targets, parameter.side)?;
    let builder = match parameter.messages_only {
        true => builder.messages_only(),
        false => builder,
    };
    // The order of a folder, in which compilers do not name them.
    let mut inputs = request.inputs.clone();
    inputs.sort_by(|one, other| Path::new(one).cmp(Path::new(other)));
    let generated = builder.generate_from_set(&request.descriptor_set, &inputs);
    generated.map_err(|error| format!("{error:?}"))
}

/// Refuses a request for a part of a package: what is generated for a package is one module, which the request for the rest would
/// overwrite.
fn whole_packages(request: &Request) -> Result<(), String> {
    let inputs: BTreeSet<&str> = request.inputs.iter().map(String::as_str).collect();
    let mut asked = BTreeMap::new();
    for (name, package) in &request.files {
        if inputs.contains(name.as_str()) {
            asked.entry(package.as_str()).or_insert(name);
        }
    }
    let part = request.files.iter().find_map(|(name, package)| {
        let other = asked.get(package.as_str())?;
        (!inputs.contains(name.as_str())).then_some((name, package, other))
    });
    match part {
        None => Ok(()),
        Some((name, package, other)) => Err(format!(
            "the request holds only a part of package `{package}`: `{other}` is to be generated and `{name}` is not, but what is \
             generated for a package is one module. With buf, write `strategy: all` below this plugin in buf.gen.yaml; with protoc, name \
             all files of the package in one command"
        )),
    }
}

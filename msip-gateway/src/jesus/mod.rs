//! The interface of jesus: the paths, verbs, bodies and errors that clients of jesus know, in front of the same protocols (docs/dialects.md).

mod answer;
mod background;
mod data;
mod error;
mod exchange;
mod fields;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod meta;
mod method;
mod methods;
mod options;
mod refusal;
mod routes;
mod shape;
mod signature;
mod upload;
mod validation;

pub use error::MethodsError;
pub use methods::Methods;
pub use options::JesusOptions;
pub use validation::SchemaError;

#[cfg(test)]
mod tests;

//! jesus manners: the paths, verbs, bodies and errors that clients of jesus know, in front of the same protocols (docs/dialects.md).

mod answer;
mod background;
mod data;
mod door;
mod error;
mod exchange;
mod fields;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod manners;
mod meta;
mod method;
mod methods;
mod refusal;
mod shape;
mod signature;
mod upload;
mod validation;

pub use error::MethodsError;
pub use manners::JesusManners;
pub use methods::Methods;
pub use validation::SchemaError;

#[cfg(test)]
mod tests;

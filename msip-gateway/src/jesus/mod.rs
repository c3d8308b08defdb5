//! jesus
mod validation;
pub use validation::SchemaError;

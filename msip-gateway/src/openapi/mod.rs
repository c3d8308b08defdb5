//! OpenAPI 3.1 of protocols: what the gateway offers at which path, from the schema and its comments.

mod components;
mod document;
mod operation;
mod parameters;
mod routes;
mod words;

pub use document::document;
pub(crate) use routes::routes;

#[cfg(test)]
mod tests;

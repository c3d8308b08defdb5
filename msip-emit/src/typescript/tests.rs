//! TypeScript as text.

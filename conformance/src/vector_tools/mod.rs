//! Tools of someone who writes vector files: the layout, what must be explained, the JSON Schemas.
//! Used by `judge vectors` and by the suite's `tidy::vectors::` cases.

pub mod format;
pub mod lint;
pub mod schema;

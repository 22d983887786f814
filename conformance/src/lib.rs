//! What must be true of an inference engine, as cases. The runner's `main` and the judge both ask
//! [`suites::all`] for them.

pub mod alloc;
pub mod bench;
pub mod corpus;
pub mod exact;
pub mod judge;
pub mod property;
pub mod reference;
pub mod snapshot;
pub mod suites;
pub mod vector_tools;
pub mod worker;

//! What must be true of an inference engine, as cases. The runner's `main` and the judge both ask
//! [`suites::all`] for them.

pub mod alloc;
pub mod bench;
pub mod corpus;
pub mod exact;
pub mod judge;
pub mod models;
pub mod property;
pub mod reference;
pub mod snapshot;
pub mod subject;
pub mod suites;
pub mod trace;
pub mod vector_tools;
pub mod worker;

use std::process::ExitCode;

/// First in `main` of every binary that runs cases: sets up what cases rely on, and ends the
/// process here if a case started it as something else, a worker or a synthetic suite.
pub fn enter() -> Option<ExitCode> {
    worker::become_if_asked().or_else(|| {
        snapshot::prepare();
        suites::selftest_child()
    })
}

//! How a case is found, run, judged and reported. Knows no model, no tensor format and no op:
//! everything that is true of an engine stands in `conformance`.

pub mod board;
pub mod capability;
pub mod case;
pub mod compare;
mod cuda_probe;
pub mod discover;
pub mod environment;
pub mod execute;
pub mod gates;
pub mod junit;
pub mod machine;
pub mod merge;
pub mod name;
pub mod plan;
pub mod pool;
pub mod record;
pub mod results;
pub mod roots;
pub mod runner;
pub mod vector;

pub use case::{Case, Failure, Lane, Run};

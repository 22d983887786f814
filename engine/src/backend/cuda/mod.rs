//! The CUDA backend. Without a driver everything here says what is missing and nothing ends the
//! process; with one, a device passes the gate first, then kernels are found, then memory is taken.
//!
//! Layers, each knowing only those before it: `fault` (what the driver's numbers mean), `driver`
//! (its functions), `gate` and `device` (what there is), `context`, `memory`, `stream`, `module` (a
//! device in use), and beside them `sources`, `compiler`, `cache`, `pack` (how kernels come about),
//! joined in `kernels`. On these stand `ops` (a wrapper a kernel file) and `backend` (the verbs).

mod backend;
mod build;
pub mod cache;
pub mod compiler;
mod context;
mod decode;
mod device;
mod driver;
mod fault;
pub mod gate;
mod generate;
pub mod kernels;
mod kv;
mod layout;
mod lines;
mod loading;
mod memory;
mod module;
mod ops;
pub mod pack;
mod rows;
mod search;
pub mod sources;
mod staging;
mod step;
mod stream;
pub mod target;
mod tensor;
pub mod usage;

pub use backend::{Cuda, Routing};
pub use build::{build, compilations};
pub use context::Context;
pub use device::Device;
pub use driver::{Driver, SYMBOLS};
pub use fault::{Named, is_sticky};
pub use generate::Ids;
pub use kv::Cache;
pub use layout::Layout;
pub use memory::{Buffer, Ledger, Owner, Pinned};
pub use module::{Argument, Function, Launch, Module};
pub use rows::{Piece, Rows};
pub use step::Step;
pub use stream::{Event, Graph, Pending, Stream};
pub use tensor::Tensor;

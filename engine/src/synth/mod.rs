//! Models of random weights in the shape of real ones, or in any shape that a TOML description
//! states: for measuring speed and memory without a download, and for tests of shapes that no
//! trained model has. A description says which keys and tensors a file holds and in which formats;
//! nothing here knows what an architecture computes.
//!
//! The same description and seed give the same bytes on any machine and any number of threads.

mod blocks;
mod description;
mod plan;
mod random;
mod shapes;
mod value;
mod vocabulary;

pub use blocks::Recipe;
pub use description::Description;
pub use plan::{Options, Plan};
pub use random::{Key, Random};
pub use shapes::{by_name, names};
pub use value::value;

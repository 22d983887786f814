//! Containers: GGUF and safetensors files, mapped and proven before anything reads them.
//! Knows bytes, shapes and types; knows no model.

pub mod gguf;
mod guard;
pub mod map;
pub mod names;

pub use gguf::{Gguf, Metadata, TensorInfo, TensorView, Value};

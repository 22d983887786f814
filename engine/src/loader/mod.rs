//! Containers: GGUF and safetensors files, mapped and proven before anything reads them.
//! Knows bytes, shapes and types; knows no model.
//!
//! * `map` and `guard` open a regular file without ever blocking, map it, and turn a file that is
//!   cut or rewritten underneath into an error.
//! * `gguf::layout` and `safetensors` prove a layout from plain bytes: one pass of checked
//!   arithmetic, after which every tensor is known to lie inside its file. Nothing else in the
//!   engine computes an offset. Time and memory are linear in the file; a count or a length from
//!   the file is compared with what the file can hold before anything is reserved.
//! * `gguf::metadata` copies keys and values out of the file, so they cannot change later; tensor
//!   data stays in the mapping and is lent as slices.
//! * `gguf::writer` writes what the reader accepts, and proves it with the reader.
//! * `check` looks through the data for numbers that are not numbers.
//!
//! A refusal carries a [`crate::error::Class`], a place and the numbers, in one line whatever the
//! file holds.

pub mod check;
pub mod gguf;
mod guard;
pub mod map;
pub mod names;
pub mod safetensors;

pub use gguf::{Gguf, Metadata, TensorInfo, TensorView, Value};
pub use safetensors::SafeTensors;

use crate::error::Result;
use std::path::Path;

/// A model file of either kind.
#[derive(Debug)]
pub enum Container {
    /// A GGUF file, or all parts of a split one.
    Gguf(Gguf),
    /// A safetensors file.
    SafeTensors(SafeTensors),
}

impl Container {
    /// Opens a file; its content decides what it is, not its name.
    pub fn open(path: &Path) -> Result<Container> {
        Container::of(map::Mapped::open(path)?)
    }

    /// Like [`Container::open`] for a file that is mapped already.
    pub fn of(mapped: map::Mapped) -> Result<Container> {
        match safetensors::looks_like(mapped.bytes()) {
            true => SafeTensors::of(mapped).map(Container::SafeTensors),
            false => Gguf::of(mapped).map(Container::Gguf),
        }
    }
}

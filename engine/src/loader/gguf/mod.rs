//! GGUF files, version 2 and 3, little-endian: mapped, proven, then lent out as typed metadata and
//! tensor views. Knows the container; knows no model.

mod cursor;
mod hint;
pub mod layout;
pub mod metadata;
mod split;
pub mod tensor;
pub mod value;
pub mod writer;

pub use layout::{Layout, Warning};
pub use metadata::Metadata;
pub use tensor::{Shape, TensorInfo};
pub use value::{Array, Strings, Value};
pub use writer::Writer;

use super::map::Mapped;
use crate::error::Result;
use std::path::Path;

/// An open model file.
#[derive(Debug)]
pub struct Gguf {
    layout: Layout,
    /// The files that hold the data; one, except in split models.
    parts: Vec<Mapped>,
}

/// A tensor and its data.
#[derive(Debug, Clone, Copy)]
pub struct TensorView<'a> {
    /// What it is.
    pub info: &'a TensorInfo,
    /// Its blocks, row by row; exactly `info.bytes`.
    pub data: &'a [u8],
}

impl Gguf {
    /// Maps and proves a file; the first of a split model brings the others.
    pub fn open(path: &Path) -> Result<Gguf> {
        Gguf::of(Mapped::open(path)?)
    }

    /// Like [`Gguf::open`] for a file that is mapped already.
    pub fn of(mapped: Mapped) -> Result<Gguf> {
        let (mapped, mut layout) = split::prove(mapped)?;
        let parts = split::follow(mapped, &mut layout)?;
        Ok(Gguf { layout, parts })
    }

    /// The files, in order; one, except in split models.
    pub fn parts(&self) -> &[Mapped] {
        &self.parts
    }

    /// Everything but the data.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// GGUF version: 2 or 3.
    pub fn version(&self) -> u32 {
        self.layout.version
    }

    /// Alignment of tensor data in bytes.
    pub fn alignment(&self) -> u32 {
        self.layout.alignment
    }

    /// Keys and values.
    pub fn metadata(&self) -> &Metadata {
        &self.layout.metadata
    }

    /// All tensors, in file order.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.layout.tensors
    }

    /// What is odd about the file, but harmless.
    pub fn warnings(&self) -> &[Warning] {
        &self.layout.warnings
    }

    /// The tensor named `name`.
    pub fn tensor(&self, name: &str) -> Option<TensorView<'_>> {
        self.layout.tensor(name).map(|info| self.view(info))
    }

    /// The data of one of this file's tensors.
    pub fn view<'a>(&'a self, info: &'a TensorInfo) -> TensorView<'a> {
        let range = info.file_range();
        let bytes = self.parts.get(info.part as usize).map_or(&[][..], Mapped::bytes);
        let data = bytes.get(range.start as usize..range.end as usize).unwrap_or_default();
        TensorView { info, data }
    }

    /// Refuses a file that changed since it was opened. Ask after reading tensor data: see
    /// [`super::map`] for what can and cannot be promised.
    pub fn verify_unchanged(&self) -> Result<()> {
        self.parts.iter().try_for_each(Mapped::verify_unchanged)
    }
}

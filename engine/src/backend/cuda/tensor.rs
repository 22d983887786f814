//! Weights on the device: matrices as their file holds them, or in the order in which kernels read
//! them; vectors decoded once. Knows blocks, not what a tensor is for.

use super::decode::Decode;
use super::layout::Layout;
use super::lines::Lines;
use super::loading::Loading;
use super::memory::{Buffer, Owner};
use super::module::Argument;
use super::ops::Check;
use super::stream::Stream;
use crate::adapters::Role;
use crate::error::{Class, Error, Result};
use crate::loader::Gguf;
use crate::loader::gguf::TensorInfo;
use crate::quant::Format;
use std::sync::{Arc, OnceLock};

/// A weight.
pub struct Tensor {
    /// Where it is, perhaps with others.
    buffer: Arc<Buffer>,
    /// Where in it.
    at: u64,
    bytes: usize,
    pub(super) layout: Layout,
    /// The largest magnitude in it.
    pub(super) most: f32,
    /// The format of its elements; a vector's are F32.
    pub(super) format: &'static Format,
    /// Elements of a row.
    pub(super) width: usize,
    /// Rows, over all further dimensions.
    pub(super) rows: usize,
    /// Rows of one expert; all of them where there are no experts.
    pub(super) rows_per_expert: usize,
    vector: bool,
    /// What the fused step made of this model, if it has one. It stays with the embedding, so that
    /// it goes when the model goes.
    pub(super) decode: OnceLock<Option<Box<Decode>>>,
    /// The recordings of this model, if its generated rows are computed that way; likewise.
    pub(super) lines: OnceLock<Option<Box<Lines>>>,
}

impl Tensor {
    /// Takes the tensor at `position` of the file in, and refuses it if it holds what is no number.
    pub(super) fn upload(
        (stream, loading): (&Stream, &Loading),
        check: &Check,
        file: &Gguf,
        position: usize,
        role: Role,
    ) -> Result<Tensor> {
        let info = &file.tensors()[position];
        let data = file.view(info).data;
        let dim = |at: usize| info.shape.get(at).copied().unwrap_or(1) as usize;
        let (width, rows) = (dim(0), info.elements() as usize / dim(0).max(1));
        let vector = matches!(role, Role::Vector | Role::ExpertBias);
        let decoded = if vector { decoded(info, data)? } else { Vec::new() };
        let (format, bytes) = match vector {
            true => (&crate::quant::FORMATS[0], bytemuck::cast_slice(decoded.as_slice())),
            false => (info.format, data),
        };
        let buffer = Buffer::new(stream.context(), Owner::Weights, &info.name, bytes.len())?;
        match vector {
            true => stream.upload(bytes, &buffer, 0)?,
            false => loading.copy(file, info, &buffer)?,
        }
        let rows_per_expert = dim(1);
        let (decode, lines) = (OnceLock::new(), OnceLock::new());
        let (bad, most) = check.run(stream, &buffer, format)?;
        match bad {
            None => Ok(Tensor {
                buffer: Arc::new(buffer),
                at: 0,
                bytes: bytes.len(),
                layout: Layout::File,
                most,
                format,
                width,
                rows,
                rows_per_expert,
                vector,
                decode,
                lines,
            }),
            Some(block) => {
                let what = if vector { "element" } else { "block" };
                let detail =
                    format!("{what} {block} of {} holds NaN or infinity", info.format.name);
                Err(Error::refused(Class::NonFinite, info.place(), detail))
            }
        }
    }

    /// Itself, if it is a matrix.
    pub(super) fn matrix(&self) -> Result<&Tensor> {
        match self.vector {
            false => Ok(self),
            true => Err(Error::Usage("a vector where a matrix is needed".into())),
        }
    }

    /// Itself, if it is a vector.
    pub(super) fn vector(&self) -> Result<&Tensor> {
        match self.vector {
            true => Ok(self),
            false => Err(Error::Usage("a matrix where a vector is needed".into())),
        }
    }

    /// The same weight at byte `at` of `buffer`, where somebody has put it.
    pub(super) fn moved(&self, buffer: &Arc<Buffer>, at: u64, layout: Layout) -> Tensor {
        let Tensor { bytes, most, format, width, rows, rows_per_expert, vector, .. } = *self;
        let (buffer, decode, lines) = (buffer.clone(), OnceLock::new(), OnceLock::new());
        Tensor {
            buffer,
            at,
            bytes,
            layout,
            most,
            format,
            width,
            rows,
            rows_per_expert,
            vector,
            decode,
            lines,
        }
    }

    /// The same weight where it is, in another layout.
    pub(super) fn in_place(&self, layout: Layout) -> Tensor {
        self.moved(&self.buffer, self.at, layout)
    }

    /// The memory it is in, perhaps with others.
    pub fn buffer(&self) -> &Buffer {
        &self.buffer
    }

    /// Where it starts, as kernels see it.
    pub fn address(&self) -> u64 {
        self.buffer.address() + self.at
    }

    /// How long it is.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Argument for &Tensor {
    fn bits(&self) -> u64 {
        self.address()
    }
}

fn decoded(info: &TensorInfo, data: &[u8]) -> Result<Vec<f32>> {
    let decode = info.format.decode().ok_or_else(|| {
        let detail = format!("{} cannot be decoded", info.format.name);
        Error::refused(Class::BadTensorType, info.place(), detail)
    })?;
    let mut out = vec![0.0; info.elements() as usize];
    decode(data, &mut out);
    Ok(out)
}

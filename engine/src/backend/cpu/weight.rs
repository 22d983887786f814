//! A tensor in its file, decoded row by row when it is needed; and its copy in the order in which
//! products read it, if there is one.

use super::matmul::{Arranged, Matrices};
use super::pages::Pages;
use super::pool::Pool;
use crate::error::{Class, Error, Result};
use crate::loader::Gguf;
use crate::quant::{Decode, Format};
use std::sync::Arc;

/// A tensor, left where it is.
#[derive(Debug, Clone)]
pub struct Weight {
    file: Arc<Gguf>,
    position: usize,
    decode: Decode,
    arranged: Option<Arc<Arranged>>,
    /// Elements of a row.
    pub width: usize,
    /// Rows, over all further dimensions.
    pub rows: usize,
    /// Rows of one expert; all of them where there are no experts.
    pub rows_per_expert: usize,
}

impl Weight {
    /// The tensor at `position` of the file.
    pub fn new(file: &Arc<Gguf>, position: usize) -> Result<Weight> {
        let info = &file.tensors()[position];
        let decode = info.format.decode().ok_or_else(|| {
            let detail = format!("{} cannot be decoded", info.format.name);
            Error::refused(Class::BadTensorType, info.place(), detail)
        })?;
        let dim = |at: usize| info.shape.get(at).copied().unwrap_or(1) as usize;
        let width = dim(0);
        let rows = info.elements() as usize / width;
        let (file, rows_per_expert) = (file.clone(), dim(1));
        Ok(Weight { file, position, decode, arranged: None, width, rows, rows_per_expert })
    }

    /// The same, ready to be multiplied with.
    pub fn arranged(mut self, pool: &Pool, pages: &mut Pages) -> Result<Weight> {
        let matrices = self.matrices(self.rows / self.rows_per_expert.max(1))?;
        self.arranged = Arranged::new(pool, pages, &matrices).map(Arc::new);
        Ok(self)
    }

    /// The format of its elements.
    pub fn format(&self) -> &'static Format {
        self.file.tensors()[self.position].format
    }

    /// Its bytes.
    pub fn data(&self) -> &[u8] {
        self.file.view(&self.file.tensors()[self.position]).data
    }

    /// Its blocks as `n_matrices` matrices, one after the other.
    pub(super) fn matrices(&self, n_matrices: usize) -> Result<Matrices<'_>> {
        if let Some(arranged) = &self.arranged {
            return Ok(arranged.matrices());
        }
        let rows = self.rows / n_matrices.max(1);
        Matrices::new(self.format(), n_matrices, rows, self.width, self.data())
            .map_err(|misfit| Error::Usage(misfit.to_string()))
    }

    /// Bytes of one row.
    pub fn row_bytes(&self) -> usize {
        let format = self.format();
        self.width / format.block_len * format.block_bytes
    }

    /// Decodes one row.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        let bytes = self.row_bytes();
        (self.decode)(&self.data()[row * bytes..(row + 1) * bytes], out);
    }

    /// Decodes all of it; for vectors.
    pub fn all(&self) -> Vec<f32> {
        let mut out = vec![0.0; self.width * self.rows];
        (self.decode)(self.data(), &mut out);
        out
    }
}

//! A tensor that a GGUF file shall hold: where it comes from, what shape that has, what becomes of
//! it. Proves the source against it. Knows no family.

use super::arrange::{Arranged, How};
use super::source::Source;
use crate::error::{Class, Error, Result, shown};
use crate::quant::mxfp4::repack_hf;
use crate::quant::{self, Format};
use std::borrow::Cow;

/// Formats in which published weights come.
const FLOATS: [&str; 3] = ["F32", "F16", "BF16"];

/// A tensor of the file.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Its name in the file.
    pub(super) name: String,
    /// Its dimensions in the file, slowest first.
    pub(super) shape: Vec<u64>,
    origin: Origin,
}

#[derive(Debug)]
enum Origin {
    /// A tensor of the source with this shape.
    Tensor { name: String, shape: Vec<u64>, how: How },
    /// Numbers that the configuration gives.
    Numbers(Vec<u8>),
}

impl Wanted {
    /// From the source's tensor `from`, which must have `shape`.
    pub(super) fn tensor(name: String, from: String, shape: &[u64], how: How) -> Self {
        let origin = Origin::Tensor { name: from, shape: shape.to_vec(), how };
        Wanted { name, shape: how.shape(shape), origin }
    }

    /// Numbers of the configuration, as F32.
    pub(super) fn numbers(name: &str, numbers: &[f32]) -> Self {
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let shape = vec![numbers.len() as u64];
        Wanted { name: name.into(), shape, origin: Origin::Numbers(bytes) }
    }

    /// The tensor of the source that it is made of.
    pub(super) fn source_name(&self) -> Option<&str> {
        match &self.origin {
            Origin::Tensor { name, .. } => Some(name),
            Origin::Numbers(_) => None,
        }
    }

    /// Refuses a source that lacks the tensor or has it in another shape or type.
    pub(super) fn prove(&self, source: &Source) -> Result<()> {
        let Origin::Tensor { name, shape, how } = &self.origin else { return Ok(()) };
        let refuse = |class, detail| Err(refused(name, class, detail));
        let fits = |found: &[u64], wanted: &[u64]| match found == wanted {
            true => Ok(()),
            false => refuse(Class::ShapeMismatch, format!("shape {found:?}, wanted {wanted:?}")),
        };
        if let Some(pair) = source.mxfp4(name)? {
            return match how.turned_already() == *how {
                true => fits(&pair.shape, shape),
                false => fits(&pair.shape, &How::Turned.shape(shape)),
            };
        }
        let Some(view) = source.find(name) else {
            return refuse(Class::MissingTensor, format!("wanted with shape {shape:?}"));
        };
        if !FLOATS.contains(&view.info.dtype.name) {
            let detail = format!("{}, wanted {}", view.info.dtype.name, FLOATS.join(", "));
            return refuse(Class::BadTensorType, detail);
        }
        fits(&view.info.shape, shape)
    }

    pub(super) fn format(&self, source: &Source) -> Result<&'static Format> {
        let f32 = || quant::by_name("F32").ok_or_else(|| unknown(&self.name));
        let Origin::Tensor { name, .. } = &self.origin else { return f32() };
        if source.mxfp4(name)?.is_some() {
            return quant::by_name("MXFP4").ok_or_else(|| unknown(&self.name));
        }
        let view = source.find(name);
        view.and_then(|view| view.info.dtype.format()).ok_or_else(|| unknown(name))
    }

    /// The bytes, in the order of the file.
    pub(super) fn data<'s>(&'s self, source: &'s Source) -> Result<Arranged<'s>> {
        let format = self.format(source)?;
        let Origin::Tensor { name, shape, how } = &self.origin else {
            let Origin::Numbers(bytes) = &self.origin else { return Err(unknown(&self.name)) };
            return Ok(Arranged { format, data: Cow::Borrowed(bytes) });
        };
        if let Some(pair) = source.mxfp4(name)? {
            let blocks = repack_hf(pair.blocks, pair.scales)?;
            let data = how.turned_already().apply(blocks.into(), &pair.shape, format);
            return Ok(Arranged { format, data });
        }
        let Some(view) = source.find(name) else { return Err(unknown(name)) };
        Ok(Arranged { format, data: how.apply(Cow::Borrowed(view.data), shape, format) })
    }
}

fn refused(name: &str, class: Class, detail: String) -> Error {
    Error::refused(class, format!("tensor {}", shown(name)), detail)
}

fn unknown(name: &str) -> Error {
    refused(name, Class::MissingTensor, "not in the folder any more".into())
}

//! MXFP4 tensors as Hugging Face and OpenAI ship them: the codes in one U8 tensor, `NAME_blocks` of
//! shape [.., blocks, 16], the scales in another, `NAME_scales` of shape [.., blocks]. Pairs them;
//! turning them into GGUF blocks is `quant::mxfp4`'s business.

use super::{Info, Layout, SafeTensors, refused};
use crate::error::{Class, Result, shown};

/// Bytes of codes under one scale: 32 elements of four bits.
const BLOCK_BYTES: u64 = 16;
/// Elements under one scale.
const BLOCK_LEN: u64 = 32;

/// The suffixes of the two tensors, as Hugging Face and as OpenAI spell them.
const SUFFIXES: [(&str, &str); 2] = [("_blocks", "_scales"), (".blocks", ".scales")];

/// One MXFP4 tensor in two pieces.
#[derive(Debug, Clone)]
pub struct Mxfp4<'a> {
    /// Name without suffix.
    pub name: &'a str,
    /// Dimensions of the tensor that the pair stands for, slowest first.
    pub shape: Vec<u64>,
    /// Codes: 16 bytes a block; elements 2j and 2j + 1 in byte j.
    pub blocks: &'a [u8],
    /// E8M0 scales: one byte a block.
    pub scales: &'a [u8],
}

impl SafeTensors {
    /// All pairs, in the order of their codes. Half a pair, or two halves that do not fit, are
    /// refused.
    pub fn mxfp4(&self) -> Result<Vec<Mxfp4<'_>>> {
        let mut pairs = Vec::new();
        for info in self.tensors() {
            if let Some((name, blocks, scales)) = pair_of(&self.layout, info)? {
                let [.., count, _] = blocks.shape[..] else { continue };
                let mut shape = blocks.shape[..blocks.shape.len() - 2].to_vec();
                // A dimension of 0 elsewhere allows any count here.
                shape.push(count.saturating_mul(BLOCK_LEN));
                let (blocks, scales) = (self.view(blocks).data, self.view(scales).data);
                pairs.push(Mxfp4 { name, shape, blocks, scales });
            }
        }
        Ok(pairs)
    }
}

fn pair_of<'a>(
    layout: &'a Layout,
    info: &'a Info,
) -> Result<Option<(&'a str, &'a Info, &'a Info)>> {
    for (blocks, scales) in SUFFIXES {
        if let Some(name) = info.name.strip_suffix(blocks) {
            return match layout.tensor(&format!("{name}{scales}")) {
                Some(other) => fit(info, other).map(|()| Some((name, info, other))),
                // Without scales it is only a tensor with that name, unless it looks like codes.
                None if info.dtype.name != "U8" || info.shape.last() != Some(&BLOCK_BYTES) => {
                    Ok(None)
                }
                None => Err(refused(
                    Class::MissingTensor,
                    &info.name,
                    format!("codes without scales: no tensor {}", shown(format!("{name}{scales}"))),
                )),
            };
        }
        if let Some(name) = info.name.strip_suffix(scales)
            && info.dtype.name == "U8"
            && layout.tensor(&format!("{name}{blocks}")).is_none()
        {
            let detail = "scales without codes".to_string();
            return Err(refused(Class::MissingTensor, &info.name, detail));
        }
    }
    Ok(None)
}

fn fit(blocks: &Info, scales: &Info) -> Result<()> {
    for half in [blocks, scales] {
        if half.dtype.name != "U8" {
            let detail = format!("half of an MXFP4 pair is U8, found {}", half.dtype.name);
            return Err(refused(Class::BadTensorType, &half.name, detail));
        }
    }
    let wanted = [&scales.shape[..], &[BLOCK_BYTES]].concat();
    if blocks.shape != wanted || scales.shape.is_empty() {
        let detail = format!("shape {:?}, but its scales want {wanted:?}", blocks.shape);
        return Err(refused(Class::ShapeMismatch, &blocks.name, detail));
    }
    Ok(())
}

//! NVFP4 as GGUF stores it: four groups of 16 E2M1 elements, each under an unsigned E4M3 scale.
//! The scale of the whole tensor, which NVIDIA's format also has, is a tensor of its own.
//!
//! Scale bytes 0x7F and 0xFF are NaN here, 0 and 480 in ggml (`ggml-ue4m3-nan`); −0 stays −0
//! (`ggml-neg-zero`).

use super::block::decoding;
use super::mx::{ELEMENTS, Element};
use super::mxfp4;
use bytemuck::{Pod, Zeroable};

/// Elements of a block.
pub const LEN: usize = 64;

/// A block as it lies in a GGUF file.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub struct Block {
    /// Scale of group g: E4M3 without a sign; the top bit is not looked at.
    pub d: [u8; LEN / 16],
    /// Byte 8·g + j holds elements 16·g + j (low half) and 16·g + 8 + j (high half).
    pub qs: [u8; LEN / 2],
}

const _: () = assert!(size_of::<Block>() == 36);

const E4M3: Element = ELEMENTS[0];

/// y = element·scale, exact in f32
pub fn decode(bytes: &[u8], out: &mut [f32]) {
    // Scale byte 127 of MXFP4 is 1, so this row holds the elements themselves.
    let values = &mxfp4::VALUES[127];
    for (block, out) in decoding::<Block, LEN>(bytes, out) {
        for (group, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            let scale = E4M3.value(block.d[group] & 127);
            for (j, byte) in block.qs[8 * group..][..8].iter().enumerate() {
                out[j] = values[usize::from(byte & 15)] * scale;
                out[j + 8] = values[usize::from(byte >> 4)] * scale;
            }
        }
    }
}

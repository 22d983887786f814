//! IQ4_NL: 32 elements, one f16 scale, 4-bit indices into a table of uneven steps.

use super::block::{Half, decoding, half};
use bytemuck::{Pod, Zeroable};

/// Elements of a block.
pub const LEN: usize = 32;

/// What an index stands for: steps that are finer around zero, as trained weights are.
/// The numbers are part of the file format (ggml `kvalues_iq4nl`).
pub const VALUES: [i8; 16] =
    [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// A block as it lies in a file.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub struct Block {
    /// Scale.
    pub d: Half,
    /// Byte j holds element j in its low half and element j + 16 in its high half.
    pub qs: [u8; LEN / 2],
}

const _: () = assert!(size_of::<Block>() == 18);

/// The values that one byte stands for, before scaling.
#[inline]
pub(super) fn values(byte: u8) -> (f32, f32) {
    let value = |index: u8| f32::from(VALUES[usize::from(index)]);
    (value(byte & 15), value(byte >> 4))
}

/// y = d·table[index]
#[inline(always)] // so that `simd` can compile it once more, for wider registers
pub fn decode(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in decoding::<Block, LEN>(bytes, out) {
        let d = half(block.d);
        for (j, byte) in block.qs.iter().enumerate() {
            let (low, high) = values(*byte);
            out[j] = d * low;
            out[j + LEN / 2] = d * high;
        }
    }
}

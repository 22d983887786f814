//! Q4_1: 32 elements, f16 scale and offset, 4-bit codes.

use super::block::{Half, decoding, encoding, half};
use super::encode::{Rule, Tally, Unencodable, reciprocal, require_finite, store_scale};
use bytemuck::{Pod, Zeroable};

/// Elements of a block.
pub const LEN: usize = 32;

/// A block as it lies in a file.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub struct Block {
    /// Scale.
    pub d: Half,
    /// Offset: the value of code 0.
    pub m: Half,
    /// Byte j holds element j in its low half and element j + 16 in its high half.
    pub qs: [u8; LEN / 2],
}

const _: () = assert!(size_of::<Block>() == 20);

/// y = code·d + m, rounded after each operation
#[inline(always)] // so that `simd` can compile it once more, for wider registers
pub fn decode(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in decoding::<Block, LEN>(bytes, out) {
        let (d, m) = (half(block.d), half(block.m));
        for (j, byte) in block.qs.iter().enumerate() {
            out[j] = f32::from(byte & 15) * d + m;
            out[j + LEN / 2] = f32::from(byte >> 4) * d + m;
        }
    }
}

/// Scale, offset and codes `0..=top` of a block as ggml finds them: the smallest value gets code 0,
/// the largest the last. Q5_1 finds them alike. `index`: the block's, for refusals.
pub(super) fn fit(
    x: &[f32; LEN],
    top: u8,
    index: usize,
    tally: &mut Tally,
) -> Result<(Half, Half, [u8; LEN]), Unencodable> {
    let (low, high) = x.iter().fold((x[0], x[0]), |(low, high), x| (low.min(*x), high.max(*x)));
    let d = (high - low) / f32::from(top);
    let inverse = reciprocal(d);
    let (scale, offset) = (store_scale(d, index, tally)?, store_scale(low, index, tally)?);
    Ok((scale, offset, x.map(|x| (((x - low) * inverse + 0.5) as u8).min(top))))
}

/// As ggml does, to the bit; see [`fit`].
pub fn encode(values: &[f32], bytes: &mut [u8], _rule: Rule) -> Result<Tally, Unencodable> {
    require_finite(values)?;
    let mut tally = Tally::default();
    for (index, (x, block)) in encoding::<Block, LEN>(values, bytes).enumerate() {
        let (d, m, codes) = fit(x, 15, index, &mut tally)?;
        *block = Block { d, m, qs: std::array::from_fn(|j| codes[j] | codes[j + LEN / 2] << 4) };
    }
    Ok(tally)
}

//! Q5_1: 32 elements, f16 scale and offset, 5-bit codes packed as in Q5_0.

use super::block::{Half, decoding, encoding, half};
use super::encode::{Rule, Tally, Unencodable, require_finite};
use super::q4_1::fit;
use super::q5_0::{LEN, codes, pack};
use bytemuck::{Pod, Zeroable};

/// A block as it lies in a file.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub struct Block {
    /// Scale.
    pub d: Half,
    /// Offset: the value of code 0.
    pub m: Half,
    /// Fifth bits, little-endian: bit i belongs to element i.
    pub qh: [u8; 4],
    /// Byte j holds element j in its low half and element j + 16 in its high half.
    pub qs: [u8; LEN / 2],
}

const _: () = assert!(size_of::<Block>() == 24);

/// y = code·d + m, rounded after each operation
#[inline(always)] // so that `simd` can compile it once more, for wider registers
pub fn decode(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in decoding::<Block, LEN>(bytes, out) {
        let (d, m) = (half(block.d), half(block.m));
        let qh = u32::from_le_bytes(block.qh);
        for j in 0..LEN / 2 {
            let (low, high) = codes(&block.qs, qh, j);
            out[j] = f32::from(low) * d + m;
            out[j + LEN / 2] = f32::from(high) * d + m;
        }
    }
}

/// As ggml does, to the bit; see [`fit`].
pub fn encode(values: &[f32], bytes: &mut [u8], _rule: Rule) -> Result<Tally, Unencodable> {
    require_finite(values)?;
    let mut tally = Tally::default();
    for (index, (x, block)) in encoding::<Block, LEN>(values, bytes).enumerate() {
        let (d, m, codes) = fit(x, 31, index, &mut tally)?;
        let (qh, qs) = pack(&codes);
        *block = Block { d, m, qh, qs };
    }
    Ok(tally)
}

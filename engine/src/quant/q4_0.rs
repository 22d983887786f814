//! Q4_0: 32 elements, one f16 scale, 4-bit codes with zero at 8.

use super::block::{Half, decoding, encoding, half};
use super::encode::{Rule, Tally, Unencodable, extreme, reciprocal, require_finite, store_scale};
use bytemuck::{Pod, Zeroable};

/// Elements of a block.
pub const LEN: usize = 32;

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

/// y = (code − 8)·d
pub fn decode(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in decoding::<Block, LEN>(bytes, out) {
        let d = half(block.d);
        for (j, byte) in block.qs.iter().enumerate() {
            out[j] = (f32::from(byte & 15) - 8.0) * d;
            out[j + LEN / 2] = (f32::from(byte >> 4) - 8.0) * d;
        }
    }
}

/// The element of largest magnitude gets code 0, the end with one step more. An equal element of
/// opposite sign saturates at code 15.
pub fn encode(values: &[f32], bytes: &mut [u8], _rule: Rule) -> Result<Tally, Unencodable> {
    require_finite(values)?;
    let mut tally = Tally::default();
    for (index, (x, block)) in encoding::<Block, LEN>(values, bytes).enumerate() {
        let d = extreme(x) / -8.0;
        let inverse = reciprocal(d);
        block.d = store_scale(d, index, &mut tally)?;
        let codes = x.map(|x| (x * inverse + 8.5) as u8);
        tally.saturated += codes.iter().filter(|code| **code > 15).count();
        for j in 0..LEN / 2 {
            block.qs[j] = codes[j].min(15) | codes[j + LEN / 2].min(15) << 4;
        }
    }
    Ok(tally)
}

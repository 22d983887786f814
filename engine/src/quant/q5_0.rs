//! Q5_0: 32 elements, one f16 scale, 5-bit codes with zero at 16; the fifth bits lie apart.

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
    /// Fifth bits, little-endian: bit i belongs to element i.
    pub qh: [u8; 4],
    /// Byte j holds element j in its low half and element j + 16 in its high half.
    pub qs: [u8; LEN / 2],
}

const _: () = assert!(size_of::<Block>() == 22);

/// The 5-bit codes of byte `j`: elements j and j + 16. Q5_1 packs the same way.
#[inline]
pub(super) fn codes(qs: &[u8; LEN / 2], qh: u32, j: usize) -> (u8, u8) {
    let fifth = |element: usize| ((qh >> element & 1) << 4) as u8;
    (qs[j] & 15 | fifth(j), qs[j] >> 4 | fifth(j + LEN / 2))
}

/// Fifth bits and halves of 32 codes; the mirror of [`codes`].
pub(super) fn pack(codes: &[u8; LEN]) -> ([u8; 4], [u8; LEN / 2]) {
    let fifth = |qh, (i, code): (usize, &u8)| qh | u32::from(code >> 4) << i;
    let qh = codes.iter().enumerate().fold(0, fifth).to_le_bytes();
    (qh, std::array::from_fn(|j| codes[j] & 15 | codes[j + LEN / 2] << 4))
}

/// y = (code − 16)·d
#[inline(always)] // so that `simd` can compile it once more, for wider registers
pub fn decode(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in decoding::<Block, LEN>(bytes, out) {
        let (d, qh) = (half(block.d), u32::from_le_bytes(block.qh));
        for j in 0..LEN / 2 {
            let (low, high) = codes(&block.qs, qh, j);
            out[j] = (f32::from(low) - 16.0) * d;
            out[j + LEN / 2] = (f32::from(high) - 16.0) * d;
        }
    }
}

/// The element of largest magnitude gets code 0, the end with one step more. An equal element of
/// opposite sign saturates at code 31.
pub fn encode(values: &[f32], bytes: &mut [u8], _rule: Rule) -> Result<Tally, Unencodable> {
    require_finite(values)?;
    let mut tally = Tally::default();
    for (index, (x, block)) in encoding::<Block, LEN>(values, bytes).enumerate() {
        let d = extreme(x) / -16.0;
        let inverse = reciprocal(d);
        block.d = store_scale(d, index, &mut tally)?;
        let codes = x.map(|x| (x * inverse + 16.5) as u8);
        tally.saturated += codes.iter().filter(|code| **code > 31).count();
        let codes = codes.map(|code| code.min(31));
        (block.qh, block.qs) = pack(&codes);
    }
    Ok(tally)
}

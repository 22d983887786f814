//! Q8_0: 32 elements, one f16 scale, signed 8-bit codes (−128 is legal to read, never written).

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
    /// One code an element.
    pub qs: [i8; LEN],
}

const _: () = assert!(size_of::<Block>() == 34);

/// y = code·d
pub fn decode(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in decoding::<Block, LEN>(bytes, out) {
        let d = half(block.d);
        for (out, code) in out.iter_mut().zip(block.qs) {
            *out = f32::from(code) * d;
        }
    }
}

/// The element of largest magnitude gets ±127; ties round away from zero, as C's `roundf`.
pub fn encode(values: &[f32], bytes: &mut [u8], _rule: Rule) -> Result<Tally, Unencodable> {
    require_finite(values)?;
    let mut tally = Tally::default();
    for (index, (x, block)) in encoding::<Block, LEN>(values, bytes).enumerate() {
        let d = extreme(x).abs() / 127.0;
        let inverse = reciprocal(d);
        block.d = store_scale(d, index, &mut tally)?;
        block.qs = x.map(|x| (x * inverse).round() as i8);
    }
    Ok(tally)
}

//! Q6_K: 256 elements in 16 sub-blocks with signed 8-bit scales, 6-bit codes with zero at 32.

use super::block::{Half, decoding, encoding, half};
use super::encode::{Rule, Tally, Unencodable, extreme, nearest, require_finite, store_scale};
use super::q6_k_fit::{NOTHING, fit};
use bytemuck::{Pod, Zeroable};

/// Elements of a block.
pub const LEN: usize = 256;

/// A block as it lies in a file.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub struct Block {
    /// Low four bits: byte 64·h + l (l < 64) holds elements 128·h + l and 128·h + 64 + l.
    pub ql: [u8; LEN / 2],
    /// High two bits: byte 32·h + l holds elements 128·h + l + {0, 32, 64, 96}, low bits first.
    pub qh: [u8; LEN / 4],
    /// One scale a sub-block.
    pub scales: [i8; LEN / 16],
    /// Scale of the scales.
    pub d: Half,
}

const _: () = assert!(size_of::<Block>() == 210);

/// y = (d·scale)·(code − 32)
pub fn decode(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in decoding::<Block, LEN>(bytes, out) {
        let d = half(block.d);
        for (sub, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            let scale = d * f32::from(block.scales[sub]);
            let (half, within) = (sub / 8, 16 * (sub % 8));
            let low = block.ql[64 * half + within % 64..][..16].iter();
            let high = block.qh[32 * half + within % 32..][..16].iter();
            for ((out, low), high) in out.iter_mut().zip(low).zip(high) {
                let code = low >> (within / 64 * 4) & 15 | (high >> (within / 32 * 2) & 3) << 4;
                *out = scale * f32::from(code as i8 - 32);
            }
        }
    }
}

/// Fits each sub-block on its own, rounds scales to eight bits of the largest, then rounds every
/// element again against what was really stored.
pub fn encode(values: &[f32], bytes: &mut [u8], _rule: Rule) -> Result<Tally, Unencodable> {
    require_finite(values)?;
    let mut tally = Tally::default();
    for (index, (x, block)) in encoding::<Block, LEN>(values, bytes).enumerate() {
        let (x, _) = x.as_chunks::<16>();
        let mut fits: [(f32, [u8; 16]); 16] = std::array::from_fn(|sub| fit(&x[sub]));
        let scales = fits.map(|(scale, _)| scale);
        if let Some(scale) = scales.into_iter().find(|scale| !scale.is_finite()) {
            return Err(Unencodable::ScaleOverflow { block: index, scale });
        }
        let max_scale = extreme(&scales);
        if max_scale.abs() < NOTHING {
            *block = Block::zeroed();
            continue;
        }
        let inverse = -128.0 / max_scale;
        block.d = store_scale(1.0 / inverse, index, &mut tally)?;
        block.scales = scales.map(|scale| nearest(inverse * scale).min(127) as i8);
        let d = half(block.d);
        for (sub, (_, codes)) in fits.iter_mut().enumerate() {
            let scale = d * f32::from(block.scales[sub]);
            // Without a scale the codes mean nothing; the fitted ones stay, as in ggml.
            if scale != 0.0 {
                *codes = x[sub].map(|x| (nearest(x / scale).clamp(-32, 31) + 32) as u8);
            }
        }
        let code = |element: usize| fits[element / 16].1[element % 16];
        for (i, byte) in block.ql.iter_mut().enumerate() {
            let element = 128 * (i / 64) + i % 64;
            *byte = code(element) & 15 | code(element + 64) << 4;
        }
        for (i, byte) in block.qh.iter_mut().enumerate() {
            let pair = |p: usize| code(128 * (i / 32) + i % 32 + 32 * p) >> 4 << (2 * p);
            *byte = pair(0) | pair(1) | pair(2) | pair(3);
        }
    }
    Ok(tally)
}

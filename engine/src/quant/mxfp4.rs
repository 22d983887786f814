//! MXFP4 (OCP Microscaling 1.0): 32 E2M1 elements under one E8M0 scale. Knows both layouts:
//! GGUF's, where byte j holds elements j and j + 16, and Hugging Face's, with 2j and 2j + 1.
//!
//! Values are OCP's, assembled from bits, so that neither a flush-to-zero mode nor a subnormal
//! multiply can change them. ggml differs twice, on purpose not followed: its integer table
//! turns code 8 (−0) into +0 (`ggml-neg-zero`), and its scale byte 255 is 2^127 instead of NaN
//! (`ggml-e8m0-255`; files that hold one are refused at load).

use super::block::decoding;
use crate::error::{Class, Error, Result};
use bytemuck::{Pod, Zeroable};

/// Elements of a block.
pub const LEN: usize = 32;

/// The scale byte that means NaN.
pub const NAN_SCALE: u8 = 255;

/// A block as it lies in a GGUF file.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub struct Block {
    /// E8M0: 2^(e − 127), with no zero and no infinity.
    pub e: u8,
    /// Byte j holds element j in its low half and element j + 16 in its high half.
    pub qs: [u8; LEN / 2],
}

const _: () = assert!(size_of::<Block>() == 17);

/// Power of two of each E2M1 magnitude 0.5, 1, 1.5, 2, 3, 4, 6; magnitude 0 is apart.
const EXPONENT: [i32; 8] = [0, -1, 0, 0, 1, 1, 2, 2];
/// Whether the magnitude is one and a half times that power.
const AND_A_HALF: [u32; 8] = [0, 0, 0, 1, 0, 1, 0, 1];

/// The exact value of a code under a scale byte, as f32 bits. Products from 2^128 up are
/// infinite in f32: codes of magnitude 4 and 6 under scale 253, from 2 up under scale 254.
pub const fn bits(e: u8, code: u8) -> u32 {
    if e == NAN_SCALE {
        return 0x7FC0_0000;
    }
    let magnitude = (code & 7) as usize;
    let sign = (code as u32 >> 3 & 1) << 31;
    if magnitude == 0 {
        return sign;
    }
    let significand = 1 << 23 | AND_A_HALF[magnitude] << 22;
    let exponent = e as i32 + EXPONENT[magnitude];
    sign | match exponent {
        255.. => 0x7F80_0000,
        1..=254 => (exponent as u32) << 23 | significand & 0x7F_FFFF,
        // Subnormal: at most two places, and the low bits of a significand are zero: exact.
        _ => significand >> (1 - exponent),
    }
}

/// The values of all sixteen codes under each scale byte.
pub static VALUES: [[f32; 16]; 256] = {
    let mut values = [[0.0; 16]; 256];
    let mut i = 0;
    while i < 256 * 16 {
        values[i / 16][i % 16] = f32::from_bits(bits((i / 16) as u8, (i % 16) as u8));
        i += 1;
    }
    values
};

/// y = element·2^(e − 127)
pub fn decode(bytes: &[u8], out: &mut [f32]) {
    for (block, out) in decoding::<Block, LEN>(bytes, out) {
        let values = &VALUES[usize::from(block.e)];
        for (j, byte) in block.qs.iter().enumerate() {
            out[j] = values[usize::from(byte & 15)];
            out[j + LEN / 2] = values[usize::from(byte >> 4)];
        }
    }
}

/// Elements 2j and 2j + 1 in byte j, as Hugging Face and OpenAI ship `blocks`, with the scale
/// bytes in a tensor of their own: the byte in which GGUF keeps elements j and j + 16 draws on
/// two of these.
fn gguf_byte(adjacent: &[u8; LEN / 2], j: usize) -> u8 {
    let code = |element: usize| adjacent[element / 2] >> (element % 2 * 4) & 15;
    code(j) | code(j + LEN / 2) << 4
}

/// Turns Hugging Face's `blocks` (16 bytes a block) and `scales` (one byte a block) into GGUF
/// blocks with the same values in the same order.
pub fn repack_hf(blocks: &[u8], scales: &[u8]) -> Result<Vec<u8>> {
    let (chunks, rest) = blocks.as_chunks::<{ LEN / 2 }>();
    if !rest.is_empty() || chunks.len() != scales.len() {
        let detail = format!(
            "{} bytes of blocks and {} scales: each scale needs 16 bytes",
            blocks.len(),
            scales.len()
        );
        return Err(Error::refused(Class::ShapeMismatch, "MXFP4 blocks", detail));
    }
    let mut packed = Vec::with_capacity(scales.len() * size_of::<Block>());
    for (adjacent, e) in chunks.iter().zip(scales) {
        packed.push(*e);
        packed.extend((0..LEN / 2).map(|j| gguf_byte(adjacent, j)));
    }
    Ok(packed)
}

/// Decodes Hugging Face's layout as it lies: `out` takes 32 elements a scale.
pub fn decode_hf(blocks: &[u8], scales: &[u8], out: &mut [f32]) {
    debug_assert_eq!(blocks.len() * 2, out.len());
    debug_assert_eq!(scales.len() * LEN, out.len());
    let (chunks, _) = blocks.as_chunks::<{ LEN / 2 }>();
    for ((adjacent, e), out) in chunks.iter().zip(scales).zip(out.as_chunks_mut::<LEN>().0) {
        let values = &VALUES[usize::from(*e)];
        for (byte, pair) in adjacent.iter().zip(out.as_chunks_mut::<2>().0) {
            *pair = [values[usize::from(byte & 15)], values[usize::from(byte >> 4)]];
        }
    }
}

//! Matrices and activations to multiply, and the products in f64.

use crate::reference::formats;
use engine::backend::cpu::matmul::{Arranged, Matrices, Misfit, Precision, matmul};
use engine::backend::cpu::pages::Pages;
use engine::backend::cpu::pool::Pool;
use engine::quant::{Format, Stored};
use half::f16;

/// SplitMix64.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// Between −1 and 1.
    fn signed(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    /// About normal, with the few large values that activations of language models have.
    pub(super) fn activation(&mut self) -> f32 {
        let sum: f32 = (0..6).map(|_| self.signed()).sum();
        if self.next().is_multiple_of(61) { 12.0 * sum } else { sum }
    }
}

/// A matrix with random codes under scales of ordinary size.
pub(super) struct Material {
    pub(super) format: &'static Format,
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) bytes: Vec<u8>,
}

impl Material {
    /// `blocks` blocks a row; for formats of single numbers, as many columns.
    pub(super) fn new(format: &'static Format, rows: usize, blocks: usize, seed: u64) -> Self {
        let mut random = Random(seed);
        let bytes = (0..rows * blocks).flat_map(|_| block(format, &mut random)).collect();
        Material { format, rows, cols: blocks * format.block_len, bytes }
    }

    pub(super) fn matrices(&self) -> Result<Matrices<'_>, Misfit> {
        Matrices::new(self.format, 1, self.rows, self.cols, &self.bytes)
    }

    /// The exact values, `[rows, cols]`.
    pub(super) fn values(&self) -> Result<Vec<f64>, String> {
        let format = self.format;
        let block =
            |block| (0..format.block_len).map(move |i| formats::value(format.name, block, i));
        let values: Option<Vec<f64>> =
            self.bytes.chunks(format.block_bytes).flat_map(block).collect();
        values.ok_or_else(|| format!("no formula for {}", format.name))
    }

    /// The same numbers as F32.
    pub(super) fn twin(&self, f32: &'static Format) -> Result<Material, String> {
        let decode = self.format.scalar.ok_or("no decoder")?;
        let mut values = vec![0.0f32; self.rows * self.cols];
        decode(&self.bytes, &mut values);
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Ok(Material { format: f32, rows: self.rows, cols: self.cols, bytes })
    }

    /// As a model is multiplied with: arranged, where the pool's machine prefers that.
    pub(super) fn times(
        &self,
        pool: &Pool,
        precision: Precision,
        x: &[f32],
    ) -> Result<Vec<f32>, Misfit> {
        let mut out = vec![f32::NAN; x.len() / self.cols * self.rows];
        let w = self.matrices()?;
        let arranged = Arranged::new(pool, &mut Pages::default(), &w);
        let w = arranged.as_ref().map_or(w, Arranged::matrices);
        matmul(pool, precision, &w, x, &mut out)?;
        Ok(out)
    }
}

/// Random bytes; then every scale gets a value between 1/32 and 1/16, of either sign if it has one.
fn block(format: &Format, random: &mut Random) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..format.block_bytes).map(|_| random.next() as u8).collect();
    let mut put = |at: usize, value: &[u8]| bytes[at..][..value.len()].copy_from_slice(value);
    for stored in format.floats {
        let value = (1.5 + random.signed() / 2.0).copysign(random.signed()) / 32.0;
        match *stored {
            Stored::F16(at) => put(at, &f16::from_f32(value).to_le_bytes()),
            Stored::Bf16(at) => put(at, &half::bf16::from_f32(value).to_le_bytes()),
            Stored::F32(at) => put(at, &value.to_le_bytes()),
            Stored::E8m0(at) => put(at, &[120 + (random.next() % 4) as u8]),
            Stored::Ue4m3(at) => put(at, &[(random.next() % 0x7F) as u8]),
            Stored::F64(_) | Stored::F16InNibbles(_) => {}
        }
    }
    bytes
}

/// `[n, cols]` activations.
pub(super) fn activations(n: usize, cols: usize, seed: u64) -> Vec<f32> {
    let mut random = Random(seed);
    (0..n * cols).map(|_| random.activation()).collect()
}

/// `[n, rows]` products in f64.
pub(super) fn product(w: &[f64], x: &[f64], cols: usize) -> Vec<f64> {
    let dot = |w: &[f64], x: &[f64]| w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
    x.chunks(cols).flat_map(|x| w.chunks(cols).map(|w| dot(w, x))).collect()
}

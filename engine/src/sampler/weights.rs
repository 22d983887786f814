//! What logits weigh against each other: e to the power of a logit's distance from the largest.
//! Sums are f64 in one fixed order, so they depend on the row and on nothing else. The exponential
//! is our own: the C library's cannot be run on vectors, and its last bit depends on the machine.

#[cfg(target_arch = "x86_64")]
use crate::quant::simd::Level;

/// Logits that are weighed at a time: their weights stay in the nearest cache.
pub(super) const BLOCK: usize = 256;

/// Sums in flight within a block.
const LANES: usize = 8;

/// How logits become weights: `e^((logit - largest) / temperature)`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    pub(super) largest: f32,
    pub(super) temperature: f32,
}

impl Scale {
    /// The weights of at most [`BLOCK`] logits.
    pub(super) fn weights<'o>(&self, logits: &[f32], out: &'o mut [f64; BLOCK]) -> &'o [f64] {
        let out = &mut out[..logits.len()];
        #[cfg(target_arch = "x86_64")]
        if Level::Avx2.available() {
            // SAFETY: the processor has just been asked.
            unsafe { self.fill_avx2(logits, out) };
            return out;
        }
        self.fill(logits, out);
        out
    }

    /// The same operations on each weight, only more of them at a time: Rust fuses no product
    /// with a sum, so the bits are those of `fill`.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn fill_avx2(&self, logits: &[f32], out: &mut [f64]) {
        self.fill(logits, out);
    }

    #[inline(always)]
    fn fill(&self, logits: &[f32], out: &mut [f64]) {
        let largest = f64::from(self.largest);
        // The smallest f32 above 0 has a finite inverse in f64.
        let steepness = 1.0 / f64::from(self.temperature);
        for (weight, logit) in out.iter_mut().zip(logits) {
            *weight = exp((f64::from(*logit) - largest) * steepness);
        }
    }

    /// The sum of each block's weights.
    pub(super) fn sums(&self, logits: &[f32]) -> Vec<f64> {
        let mut weights = [0.0; BLOCK];
        logits.chunks(BLOCK).map(|block| sum(self.weights(block, &mut weights))).collect()
    }
}

/// In lanes, which are added up as a tree.
fn sum(weights: &[f64]) -> f64 {
    let mut lanes = [0.0; LANES];
    let chunks = weights.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, weight)| *lane += weight);
    }
    lanes.iter_mut().zip(rest).for_each(|(lane, weight)| *lane += weight);
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + b) + (c + d)) + ((e + f) + (g + h))
}

/// Below this a weight is 0: beside the largest, which weighs 1, no f64 sum could tell.
const LEAST: f64 = -700.0;
/// Adding it leaves a number's nearest integer in the last bits of the sum.
const TO_INTEGER: f64 = 6_755_399_441_055_744.0;
/// ln 2 in two parts; a multiple of the first by less than 2^11 is exact.
const LN_2_HIGH: f64 = f64::from_bits(0x3FE6_2E42_FEE0_0000);
const LN_2_LOW: f64 = f64::from_bits(0x3DEA_39EF_3579_3C76);

/// e^x for x from -inf to 0, within 2e-14 of its value: 2^k by bits, and the series for what is
/// left, which is at most half of ln 2.
#[inline(always)]
fn exp(x: f64) -> f64 {
    let inside = if x < LEAST { LEAST } else { x };
    let shifted = inside * std::f64::consts::LOG2_E + TO_INTEGER;
    let k = shifted - TO_INTEGER;
    let r = (inside - k * LN_2_HIGH) - k * LN_2_LOW;
    let mut series = SERIES[0];
    for factor in &SERIES[1..] {
        series = series * r + factor;
    }
    let power = f64::from_bits((shifted.to_bits() << 52).wrapping_add(1023 << 52));
    if x < LEAST { 0.0 } else { series * power }
}

/// 1/n!, from n = 11 down to 0.
const SERIES: [f64; 12] = [
    1.0 / 39_916_800.0,
    1.0 / 3_628_800.0,
    1.0 / 362_880.0,
    1.0 / 40_320.0,
    1.0 / 5_040.0,
    1.0 / 720.0,
    1.0 / 120.0,
    1.0 / 24.0,
    1.0 / 6.0,
    1.0 / 2.0,
    1.0,
    1.0,
];

//! Rows to encode: 256 floats each, so that every format takes them. Knows which values have
//! troubled encoders, not what any encoder does with them.

use super::Groups;
use crate::random::Random;

pub(super) const WIDTH: usize = 256;
const BLOCK: usize = 32;

/// Rows and what they are.
pub(super) struct Rows {
    pub(super) values: Vec<f32>,
    pub(super) groups: Groups,
}

impl Rows {
    fn push(&mut self, group: &str, count: usize, mut value: impl FnMut(usize, usize) -> f32) {
        for row in 0..count {
            self.values.extend((0..WIDTH).map(|column| value(row, column)));
        }
        self.groups.push((group.into(), count));
    }
}

/// 2^exponent, exact down to the smallest subnormal.
fn power(exponent: i32) -> f32 {
    f64::from_bits(((1023 + exponent) as u64) << 52) as f32
}

pub(super) fn all(seed: u64) -> Rows {
    let mut rows = Rows { values: Vec::new(), groups: Groups::new() };
    plain(&mut rows, &mut Random::new(seed, "rows/plain"));
    edges(&mut rows, &mut Random::new(seed, "rows/edges"));
    rows
}

fn plain(rows: &mut Rows, random: &mut Random) {
    rows.push("gaussian", 12, |_, _| random.gaussian());
    rows.push("gaussian-weights", 6, |_, _| random.gaussian() * 0.02);
    rows.push("heavy-tails", 8, |_, _| {
        let stretch = power(random.bits().trailing_zeros() as i32);
        random.gaussian() * stretch
    });
    rows.push("one-outlier-a-block", 4, |row, column| {
        let spike = column % BLOCK == (row * 11 + column / BLOCK) % BLOCK;
        random.gaussian() * if spike { 50.0 } else { 0.1 }
    });
    rows.push("all-positive", 3, |_, _| random.uniform() + 0.5);
    rows.push("all-negative", 3, |_, _| -random.uniform() - 0.5);
    rows.push("steps", 4, |row, column| {
        let step = [0.5, 1.0, 0.1, 1.0 / 3.0][row];
        (column as f32 - 128.0) * step
    });
}

/// A tie sits in the middle between two codes once the block's own scale is 1: the first element
/// of every block is the one that makes it so for the encoder in the group's name.
fn ties(rows: &mut Rows, group: &str, first: f32, codes: f32, random: &mut Random) {
    rows.push(group, 3, |row, column| {
        let sign = if column % (2 * BLOCK) < BLOCK { 1.0 } else { -1.0 };
        let code = random.below(2 * codes as u64) as f32 - codes;
        let scale = power([0, -7, 5][row]);
        scale * if column % BLOCK == 0 { sign * first } else { code + 0.5 }
    });
}

fn edges(rows: &mut Rows, random: &mut Random) {
    ties(rows, "ties-q8_0", 127.0, 126.0, random);
    ties(rows, "ties-q4_0", -8.0, 7.0, random);
    ties(rows, "ties-q5_0", -16.0, 15.0, random);
    ties(rows, "ties-q6_k", -32.0, 31.0, random);
    let middles = [0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0, 0.0];
    rows.push("ties-mxfp4", 3, |row, column| {
        let sign = if random.below(2) == 0 { 1.0 } else { -1.0 };
        let value = if column % BLOCK == 0 { 6.0 } else { middles[column % middles.len()] };
        sign * value * power([0, -9, 4][row])
    });
    rows.push("mxfp4-just-beyond-6", 1, |_, column| match column % BLOCK {
        0 => [6.0, 6.5, 7.0, 7.5, 7.99, 7.999_999_5, 8.0, 5.999_999_5][column / BLOCK],
        _ => random.gaussian(),
    });
    rows.push("opposite-extremes", 4, |row, column| {
        let amax = [1.0, 3.0, 0.007, 100.0][row];
        let first_sign = if (column / BLOCK).is_multiple_of(2) { 1.0 } else { -1.0 };
        match column % BLOCK {
            3 => amax * first_sign,
            17 => -amax * first_sign,
            _ => (random.uniform() - 0.5) * amax,
        }
    });
    rows.push("constant", 4, |row, _| [1.0, -1.0, 0.3, -1e-3][row]);
    rows.push("zeros", 2, |row, _| if row == 0 { 0.0 } else { -0.0 });
    rows.push("one-element", 2, |row, column| match column % BLOCK {
        5 => [1.0, -0.75][row],
        _ => 0.0,
    });
    rows.push("every-block-smaller", 2, |_, column| {
        random.gaussian() * power(-3 * (column / BLOCK) as i32)
    });
    rows.push("f16-scale-subnormal", 3, |row, _| random.gaussian() * [1e-4, 1e-5, 2e-6][row]);
    rows.push("f16-scale-zero", 2, |row, _| random.gaussian() * [1e-8, 1e-20][row]);
    rows.push("f32-subnormal", 2, |row, _| random.gaussian() * power([-132, -140][row]));
    // floor(log2(amax)) - 2 + 127 leaves the range of E8M0 here (reliability fact N09).
    rows.push("e8m0-underflow", 2, |row, column| {
        let amax = power([-126, -130][row]);
        if column % BLOCK == 0 { amax } else { amax * random.uniform() }
    });
    rows.push("f16-scale-large", 2, |row, _| random.gaussian() * [3e4, 2e5][row]);
    rows.push("f16-scale-overflow", 2, |row, _| random.gaussian() * [1e7, 1e30][row]);
}

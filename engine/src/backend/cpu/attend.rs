//! Attention: a softmax over the positions a row sees. Nothing but the row, its own past and the
//! sink decides a bit: a score is a sum over the head's elements in order, the scores' sum runs in
//! sixteen lanes by position, and values are added up in order of position.
//!
//! Rows of one sequence that stand behind each other share what they read. The code is plain
//! arithmetic on arrays of sixteen lanes, compiled once for each level of instructions; every
//! multiply-add is fused, so that the levels agree to the bit.

use super::cache::{LayerCache, TILE, Values};
use super::level::Level;
use super::matmul::{Lanes, fold};
use crate::adapters::Attention;
use crate::batch::Row;

/// Rows that share what they read of keys and values.
pub(super) const BLOCK: usize = 8;
/// Positions whose values are read before the next row's turn.
const STRETCH: usize = 32;
/// More queries than these are worth copying values for.
const FEW: usize = 2;

/// One key head and the rows of one sequence that look at it.
pub(super) struct Look<'l> {
    /// How rows look.
    pub(super) attention: &'l Attention,
    /// One score a query head.
    pub(super) sinks: Option<&'l [f32]>,
    /// Keys and values.
    pub(super) cache: &'l LayerCache,
    /// At most [`BLOCK`] rows of one slot, in order of position.
    pub(super) rows: &'l [Row],
    /// The key head.
    pub(super) kv_head: usize,
    /// All heads of these rows' queries, row by row.
    pub(super) queries: &'l [f32],
}

/// Runs of at most [`BLOCK`] rows of one slot, as ranges.
pub(super) fn blocks(rows: &[Row]) -> Vec<std::ops::Range<usize>> {
    let mut blocks = Vec::new();
    let mut start = 0;
    for at in 1..=rows.len() {
        let full = at - start == BLOCK;
        if at == rows.len() || full || rows[at].slot != rows[start].slot {
            blocks.push(start..at);
            start = at;
        }
    }
    blocks
}

impl Look<'_> {
    /// What the rows' heads that share the key head have seen: `group · head_dim` elements a row.
    pub(super) fn look(&self, level: Level) -> Vec<f32> {
        #[cfg(target_arch = "x86_64")]
        match level {
            // SAFETY: the pool offers a level only where the machine has its instructions.
            Level::Avx512 | Level::Vnni => return unsafe { self.avx512() },
            // SAFETY: as above.
            Level::Avx2 => return unsafe { self.avx2() },
            Level::Scalar => (),
        }
        let _ = level;
        self.work()
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx2,fma")]
    fn avx512(&self) -> Vec<f32> {
        self.work()
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn avx2(&self) -> Vec<f32> {
        self.work()
    }

    #[inline(always)] // so that it is compiled for each level
    fn work(&self) -> Vec<f32> {
        let (dim, slot) = (self.attention.head_dim, self.rows[0].slot as usize);
        let group = self.attention.heads / self.attention.kv_heads;
        let last = self.rows[self.rows.len() - 1].position as usize;
        let first_tile = self.attention.first_seen(self.rows[0].position as usize) / TILE;
        let tiles = last / TILE + 1 - first_tile;
        let queries: Vec<&[f32]> = self.queries(group, dim).collect();
        // Scores of a row and head, all tiles of them, one behind the other.
        let mut scores = vec![Lanes::ZERO; self.rows.len() * group * tiles];
        let mut scratch = vec![0.0; dim.max(STRETCH) * TILE.max(dim)];
        for tile in 0..tiles {
            let start = self.kv_head * dim;
            let keys = self.cache.keys(slot, first_tile + tile, start, dim, &mut scratch);
            let mut places = scores.iter_mut().skip(tile).step_by(tiles);
            for four in queries.chunks(4) {
                // The last one stands in for those that there are not.
                let own = |i: usize| four[i.min(four.len() - 1)];
                let own = [own(0), own(1), own(2), own(3)];
                let of_four = at_tile(own, keys, self.attention.scale);
                places.by_ref().take(four.len()).zip(of_four).for_each(|(place, own)| *place = own);
            }
        }
        let mut shares = Vec::with_capacity(self.rows.len() * group);
        for (index, scores) in scores.chunks_exact_mut(tiles).enumerate() {
            let position = self.rows[index / group].position as usize;
            let from = self.attention.first_seen(position) - first_tile * TILE;
            let sink = self.sinks.map(|sinks| sinks[self.kv_head * group + index % group]);
            shares.push(soften(scores, from, position - first_tile * TILE, sink));
        }
        let mut out = vec![0.0; self.rows.len() * group * dim];
        for stretch in (first_tile * TILE..last + 1).step_by(STRETCH) {
            let end = (stretch + STRETCH).min(last + 1);
            let (start, often) = (self.kv_head * dim, queries.len() > FEW);
            let values = self.cache.values(slot, stretch..end, start, dim, often, &mut scratch);
            let heads = scores.chunks_exact(tiles).zip(out.chunks_exact_mut(dim));
            for (index, (scores, out)) in heads.enumerate() {
                let position = self.rows[index / group].position as usize;
                let from = self.attention.first_seen(position).max(stretch);
                let (from, end) = (from, end.min(position + 1));
                if from < end {
                    let shares = &Lanes::numbers(scores)[from - first_tile * TILE..];
                    gather(&shares[..end - from], &values, from, dim, out);
                }
            }
        }
        for (out, share) in out.chunks_exact_mut(dim).zip(shares) {
            out.iter_mut().for_each(|out| *out *= share);
        }
        out
    }

    /// The query heads that share the key head, row by row.
    fn queries(&self, group: usize, dim: usize) -> impl Iterator<Item = &[f32]> {
        let own = self.kv_head * group * dim..(self.kv_head + 1) * group * dim;
        let rows = self.queries.chunks_exact(self.attention.q_width());
        rows.flat_map(move |row| row[own.clone()].chunks_exact(dim))
    }
}

/// Scores of four queries at the sixteen positions of a tile: the sum of one would wait for itself.
#[inline(always)]
fn at_tile([a, b, c, d]: [&[f32]; 4], keys: &[f32], scale: f32) -> [Lanes; 4] {
    let mut sums = [[0.0f32; TILE]; 4];
    let [of_a, of_b, of_c, of_d] = &mut sums;
    let queries = a.iter().zip(b).zip(c.iter().zip(d));
    for (((a, b), (c, d)), keys) in queries.zip(keys.as_chunks::<TILE>().0) {
        // One loop a query, or the compiler would go across queries.
        for lane in 0..TILE {
            of_a[lane] = a.mul_add(keys[lane], of_a[lane]);
        }
        for lane in 0..TILE {
            of_b[lane] = b.mul_add(keys[lane], of_b[lane]);
        }
        for lane in 0..TILE {
            of_c[lane] = c.mul_add(keys[lane], of_c[lane]);
        }
        for lane in 0..TILE {
            of_d[lane] = d.mul_add(keys[lane], of_d[lane]);
        }
    }
    sums.map(|sums| Lanes(sums.map(|sum| sum * scale)))
}

/// Adds the values of the positions from `first` on, each times its share. So many elements at a
/// time stay in registers over all positions.
#[inline(always)]
fn gather(shares: &[f32], values: &Values, first: usize, dim: usize, out: &mut [f32]) {
    const ELEMENTS: usize = 64;
    let (wide, rest) = out.as_chunks_mut::<ELEMENTS>();
    let n_wide = wide.len();
    for (part, out) in wide.iter_mut().enumerate() {
        let mut sums = *out;
        for (at, share) in shares.iter().enumerate() {
            let value = &values.row(first + at, dim).as_chunks::<ELEMENTS>().0[part];
            for element in 0..ELEMENTS {
                sums[element] = share.mul_add(value[element], sums[element]);
            }
        }
        *out = sums;
    }
    if !rest.is_empty() {
        for (at, share) in shares.iter().enumerate() {
            let value = &values.row(first + at, dim)[n_wide * ELEMENTS..];
            for (out, value) in rest.iter_mut().zip(value) {
                *out = share.mul_add(*value, *out);
            }
        }
    }
}

/// Turns scores `from ..= to` into what each counts, and gives what all must be multiplied with. A
/// sink takes its share and gives nothing.
#[inline(always)]
fn soften(tiles: &mut [Lanes], from: usize, to: usize, sink: Option<f32>) -> f32 {
    let scores = Lanes::flat(tiles);
    let mut top = sink.unwrap_or(f32::NEG_INFINITY);
    for score in &scores[from..=to] {
        // Not `max`, which would hide a score that is no number.
        top = if *score > top || score.is_nan() { *score } else { top };
    }
    let mut sums = Lanes::ZERO;
    for (at, tile) in tiles.iter_mut().enumerate() {
        for lane in 0..TILE {
            let seen = (from..=to).contains(&(at * TILE + lane));
            let part = exp(tile.0[lane] - top);
            tile.0[lane] = if seen { part } else { 0.0 };
            sums.0[lane] += tile.0[lane];
        }
    }
    let sink = sink.map_or(0.0, |sink| exp(sink - top));
    1.0 / (fold(&sums) + sink)
}

/// `e` to the power of `x`, for `x` of at most 0, off by less than two units of the last place.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Adding it rounds to a whole number, which then stands in the last bits.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts, the first with few enough bits that a multiple of it is exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let k = shifted - ROUND;
    let r = k.mul_add(-LN2_LOW, k.mul_add(-LN2_HIGH, x));
    // Taylor to the seventh power: the next term is below 6e-9 for |r| of at most ln 2 / 2.
    let mut sum = 1.0 / 5040.0;
    for factor in [720.0, 120.0, 24.0, 6.0, 2.0, 1.0, 1.0] {
        sum = r.mul_add(sum, 1.0 / factor);
    }
    let scale = f32::from_bits(((shifted.to_bits() & 0x1ff).wrapping_add(127) & 0xff) << 23);
    if x < -87.0 { 0.0 } else { sum * scale }
}

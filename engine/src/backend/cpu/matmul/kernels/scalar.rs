//! The kernels without intrinsics: the twins that can be read.

#![allow(clippy::needless_range_loop)] // one index counts in several arrays

use super::super::tree::{self, LANES, Lanes};
use super::{Kernels, PANEL, TILE};

pub(super) const KERNELS: Kernels = Kernels {
    tiles: [tile, tile, tile],
    fold: |sums| sums.each_ref().map(tree::fold),
    stripes: &[stripe, stripe, stripe, stripe, stripe, stripe],
    transpose: |from, f, to, t| {
        for i in 0..LANES {
            for j in 0..LANES {
                to[t * i].0[j] = from[f * j].0[i];
            }
        }
    },
    fold_across: tree::fold_across,
};

fn stripe(w: &[Lanes], x: &[&[f32]], sums: &mut [Lanes]) {
    for (x, sum) in x.iter().zip(sums) {
        for (w, x) in w.iter().zip(*x) {
            for row in 0..LANES {
                sum.0[row] = w.0[row].mul_add(*x, sum.0[row]);
            }
        }
    }
}

fn tile(w: &[Lanes], x: &[&[Lanes]], sums: &mut [Lanes]) {
    for (i, x) in x.iter().enumerate() {
        for (r, w) in w.chunks_exact(x.len()).enumerate().take(TILE) {
            let sum = &mut sums[PANEL * i + r].0;
            for (w, x) in w.iter().zip(*x) {
                for lane in 0..LANES {
                    sum[lane] = w.0[lane].mul_add(x.0[lane], sum[lane]);
                }
            }
        }
    }
}

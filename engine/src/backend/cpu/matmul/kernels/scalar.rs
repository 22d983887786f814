//! The kernels without intrinsics: the twins that can be read.

#![allow(clippy::needless_range_loop)] // one index counts in several arrays

use super::super::tree::{self, LANES, Lanes};
use super::{Kernels, PANEL, TILE};

pub(super) const KERNELS: Kernels =
    Kernels { tiles: [tile, tile, tile], fold: |sums| sums.each_ref().map(tree::fold) };

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

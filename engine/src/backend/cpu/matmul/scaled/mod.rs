//! Products with activations as they are and a matrix of codes: codes are multiplied first, and
//! what they come to is scaled once a group, so that making numbers of them costs little.
//!
//! The order of a sum: group by group; a group's own sum starts with what the zero of its codes
//! adds too much, negated, and takes its columns one after the other, each by one fused
//! multiply-add; one more adds it, times its scale, to the whole, and one the minimum times the sum
//! of activations.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod kernels;
#[cfg(target_arch = "x86_64")]
mod lines;
mod shifted;

use super::fast::codes::Coded;
use super::fast::panel::Panel;
use super::fast::source::Source;
use super::fast::strip::{BLOCK, GROUP_ROWS, Strip};
use super::groups::{Group, Groups, Row};
use super::output::Output;
use super::tree::{LANES, Lanes};
use super::{Job, Matrices, rows_to_read};
use crate::backend::cpu::pool::Pool;
use kernels::{Line, Short, Stripes, Wall};
use shifted::{Block, Shifted};
use std::cell::RefCell;

/// More activation rows than these are worth making numbers of codes for.
const FEW: usize = 3;
/// Blocks whose numbers are made at a time: with 32 rows half of the first cache.
const NEAR: usize = 4;
/// Matrix rows that a thread takes at a time where it computes rather than reads.
const BROAD: usize = 2 * LANES;

/// What a thread works in; kept from product to product.
struct Scratch {
    strip: Box<Strip>,
    /// Of eight rows each.
    panels: Vec<Panel>,
    /// Of sixteen rows each.
    walls: [Wall; BROAD / LANES],
    /// `[sixteen rows][activation row]`
    sums: Vec<Lanes>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        strip: Box::new(Strip::EMPTY),
        panels: Vec::new(),
        walls: Default::default(),
        sums: Vec::new(),
    });
}

/// Everything that is the same for all items.
struct Plan<'p> {
    source: Source<'p>,
    x: Shifted,
    out: &'p Output<'p>,
    short: Short,
    stripes: Option<Stripes>,
    /// For rows that lie together.
    line: Option<Line>,
}

/// What a format's codes are like; the words are those of `Coded`.
struct Codes {
    signed: bool,
    halves: usize,
    zero: i32,
    mins: bool,
}

/// The products, if the matrix has codes to multiply.
pub(super) fn job<'j>(
    pool: &Pool,
    w: &'j Matrices,
    x: &[f32],
    n: usize,
    groups: &'j Groups,
    out: &'j Output,
) -> Option<Job<'j>> {
    let (source, signed) = Source::narrow(w, pool.level())?;
    let Coded { halves, zero, mins, .. } = source.coded;
    let codes = Codes { signed, halves, zero, mins };
    let x = Shifted::new(pool, &codes, x, n, w.cols);
    let line = kernels::line(w.format.name, pool.level()).filter(|_| w.eights);
    let stripes = kernels::stripes(&codes, pool.level());
    let plan = Plan { source, x, out, short: kernels::short(&codes), stripes, line };
    let only_read = line.is_some() && groups.0.iter().all(|group| group.rows.len() <= FEW);
    let item_rows = if only_read { rows_to_read(pool, w.rows) } else { BROAD };
    Some(Job::of_rows(w, groups, item_rows, move |group, first, last| {
        SCRATCH.with_borrow_mut(|scratch| plan.item(group, first, last, scratch));
    }))
}

impl Plan<'_> {
    fn item(&self, group: &Group, first: usize, last: usize, scratch: &mut Scratch) {
        match (self.line, self.stripes) {
            (Some(line), _) if group.rows.len() <= FEW => {
                for first in (first..last).step_by(LANES) {
                    // The last eight stand in for those that the matrix does not have.
                    let next = if first + GROUP_ROWS < last { first + GROUP_ROWS } else { first };
                    let w = [first, next].map(|first| self.source.w.eight(group.matrix, first));
                    for row in &group.rows {
                        let mut sums = Lanes::ZERO;
                        line(w, self.x.row(row.x), &mut sums);
                        self.write(row, &sums.0, first, last);
                    }
                }
            }
            (_, Some(stripes)) => {
                for first in (first..last).step_by(BROAD) {
                    self.walls(&stripes, group, first, last.min(first + BROAD), scratch);
                }
            }
            _ => {
                for first in (first..last).step_by(GROUP_ROWS) {
                    self.short(group, first, last.min(first + GROUP_ROWS), scratch);
                }
            }
        }
    }

    /// Up to eight matrix rows, by the twin that can be read.
    fn short(&self, group: &Group, first: usize, last: usize, scratch: &mut Scratch) {
        let mut sums = vec![[0.0; GROUP_ROWS]; group.rows.len()];
        let strip = &mut scratch.strip;
        self.source.strips(group.matrix, first..last, strip, |strip, start, n_blocks| {
            for (row, sums) in group.rows.iter().zip(&mut sums) {
                let x = &self.x.row(row.x)[start..start + n_blocks];
                (self.short)(strip, x, sums);
            }
        });
        for (row, sums) in group.rows.iter().zip(&sums) {
            self.write(row, sums, first, last);
        }
    }

    /// Up to 32 matrix rows, a few blocks of all of them at a time.
    fn walls(
        &self,
        stripes: &Stripes,
        group: &Group,
        first: usize,
        last: usize,
        scratch: &mut Scratch,
    ) {
        let Scratch { strip, panels, walls, sums } = scratch;
        let (n_panels, n_rows) = ((last - first).div_ceil(GROUP_ROWS), group.rows.len());
        panels.resize_with(n_panels.max(panels.len()), Panel::default);
        for (p, panel) in panels[..n_panels].iter_mut().enumerate() {
            let first = first + p * GROUP_ROWS;
            let rows = first..last.min(first + GROUP_ROWS);
            self.source.fill(group.matrix, rows, strip, panel);
        }
        let walls = &mut walls[..(last - first).div_ceil(LANES)];
        sums.clear();
        sums.resize(walls.len() * n_rows, Lanes::ZERO);
        let n_blocks = self.source.w.cols / BLOCK;
        for start in (0..n_blocks).step_by(NEAR) {
            let blocks = start..n_blocks.min(start + NEAR);
            for (wall, panels) in walls.iter_mut().zip(panels[..n_panels].chunks(2)) {
                // The last panel stands in for one that the matrix does not have.
                let both = [&panels[0], &panels[panels.len() - 1]];
                (stripes.build)(&both, blocks.clone(), wall);
            }
            for (tile, rows) in group.rows.chunks(stripes.most).enumerate() {
                let mut x: [&[Block]; kernels::MOST] = [&[]; kernels::MOST];
                for (x, row) in x.iter_mut().zip(rows) {
                    *x = &self.x.row(row.x)[blocks.clone()];
                }
                for (wall, sums) in walls.iter().zip(sums.chunks_exact_mut(n_rows)) {
                    let sums = &mut sums[tile * stripes.most..];
                    (stripes.stripes[rows.len() - 1])(wall, &x[..rows.len()], sums);
                }
            }
        }
        for (sums, first) in sums.chunks_exact(n_rows).zip((first..last).step_by(LANES)) {
            for (row, sums) in group.rows.iter().zip(sums) {
                self.write(row, &sums.0, first, last);
            }
        }
    }

    /// As many sums as there are rows from `first` to `last`.
    fn write(&self, row: &Row, sums: &[f32], first: usize, last: usize) {
        let at = row.out * self.source.w.rows + first;
        let n = sums.len().min(last - first);
        // SAFETY: the place belongs to these matrix rows and this activation row, and each pair of
        // the two is in one item of the dispatch.
        unsafe { self.out.write(at, &sums[..n]) };
    }
}

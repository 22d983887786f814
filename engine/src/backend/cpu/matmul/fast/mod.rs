//! Products with activations rounded to eight bits: whole numbers multiplied with whole numbers,
//! and one multiplication by scales for every group of codes.

#[cfg(target_arch = "x86_64")]
mod avx2;
pub(super) mod codes;
#[cfg(target_arch = "x86_64")]
mod codes_avx2;
mod kernels;
#[cfg(target_arch = "x86_64")]
mod lines;
pub(super) mod panel;
mod rounded;
#[cfg(target_arch = "x86_64")]
mod rounded_avx2;
pub(super) mod source;
pub(super) mod strip;
#[cfg(target_arch = "x86_64")]
mod unpack;
#[cfg(target_arch = "x86_64")]
mod vnni;

use super::groups::{Group, Groups, Row};
use super::output::Output;
use super::{Job, Matrices, rows_to_read};
use crate::backend::cpu::pool::Pool;
use kernels::{Kernels, Line, MOST, Short, Sums, Tile};
use panel::{ABREAST, Panel};
use rounded::Rounded;
use source::Source;
use std::cell::RefCell;
use strip::{GROUP_ROWS, Strip};

/// More activation rows than these are worth arranging the matrix for.
const FEW: usize = 3;
/// Bytes of panels and of activations that share the second cache.
const NEAR_PANELS: usize = 200 << 10;
const NEAR_ROWS: usize = 150 << 10;

/// What a thread works in; kept from product to product.
struct Scratch {
    strip: Box<Strip>,
    panels: Vec<Panel>,
    sums: Vec<Sums>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        strip: Box::new(Strip::EMPTY),
        panels: Vec::new(),
        sums: Vec::new(),
    });
}

/// Everything that is the same for all items.
struct Plan<'p> {
    source: Source<'p>,
    x: Rounded,
    out: &'p Output<'p>,
    short: Short,
    tiles: Option<&'static [Tile]>,
    /// For rows that lie together.
    line: Option<Line>,
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
    let coded = codes::of(w.format, pool.level())?;
    let x = Rounded::new(pool, &coded, x, n, w.cols);
    let Kernels { short, tiles } = kernels::of(&coded, pool.level());
    let (tiles, arrange) = tiles.unzip();
    let (line, fills) = kernels::arranged(w.format.name, pool.level()).unzip();
    let source = Source { w, coded, arrange, fill: fills.map(|fills| fills.whole) };
    let plan = Plan { source, x, out, short, tiles, line: line.filter(|_| w.eights) };
    let item_rows = plan.item_rows(pool, groups);
    Some(Job::of_rows(w, groups, item_rows, move |group, first, last| {
        SCRATCH.with_borrow_mut(|scratch| plan.item(group, first, last, scratch));
    }))
}

impl Plan<'_> {
    /// Matrix rows that a thread takes at a time, in whole groups.
    fn item_rows(&self, pool: &Pool, groups: &Groups) -> usize {
        if groups.0.iter().all(|group| group.rows.len() <= FEW) {
            return rows_to_read(pool, self.source.w.rows);
        }
        let panel_bytes =
            GROUP_ROWS * self.source.w.cols.max(1) * if self.source.coded.wide { 2 } else { 1 };
        let panels = (NEAR_PANELS / panel_bytes).clamp(ABREAST, 8) / ABREAST * ABREAST;
        panels * GROUP_ROWS
    }

    fn item(&self, group: &Group, first: usize, last: usize, scratch: &mut Scratch) {
        let few = group.rows.len() <= FEW;
        match self.tiles {
            Some(tiles) if !few => {
                let n_panels = (last - first).div_ceil(GROUP_ROWS);
                scratch.panels.resize_with(n_panels.max(scratch.panels.len()), Panel::default);
                for (p, panel) in scratch.panels[..n_panels].iter_mut().enumerate() {
                    let rows = first + p * GROUP_ROWS..last.min(first + (p + 1) * GROUP_ROWS);
                    self.source.fill(group.matrix, rows, &mut scratch.strip, panel);
                }
                let near = (NEAR_ROWS / self.source.w.cols.max(1)).max(2 * tiles.len());
                for rows in group.rows.chunks(near) {
                    let x: Vec<_> = rows.iter().map(|row| self.x.row(row.x, 0)).collect();
                    for (at, panels) in scratch.panels[..n_panels].chunks(ABREAST).enumerate() {
                        let first = first + at * ABREAST * GROUP_ROWS;
                        self.tiles(tiles, panels, (rows, &x), first, last);
                    }
                }
            }
            _ => {
                for first in (first..last).step_by(GROUP_ROWS) {
                    self.short(group, first, last.min(first + GROUP_ROWS), scratch);
                }
            }
        }
    }

    fn short(&self, group: &Group, first: usize, last: usize, scratch: &mut Scratch) {
        let Scratch { strip, sums, .. } = scratch;
        if let Some(line) = self.line {
            let w = self.source.w.eight(group.matrix, first);
            for row in &group.rows {
                let mut sums = [0.0; GROUP_ROWS];
                line(w, &self.x.row(row.x, 0), &mut sums);
                self.write(row, &sums, first, last);
            }
            return;
        }
        sums.clear();
        sums.resize(group.rows.len(), [0.0; GROUP_ROWS]);
        self.source.strips(group.matrix, first..last, strip, |strip, start, n_blocks| {
            for (row, sums) in group.rows.iter().zip(&mut *sums) {
                (self.short)(strip, n_blocks, &self.x.row(row.x, start), sums);
            }
        });
        for (row, sums) in group.rows.iter().zip(sums) {
            self.write(row, sums, first, last);
        }
    }

    /// One or two panels, whose rows are those from `first` on, times some activation rows.
    fn tiles(
        &self,
        tiles: &[Tile],
        panels: &[Panel],
        (rows, x): (&[Row], &[rounded::Row]),
        first: usize,
        last: usize,
    ) {
        // The last panel stands in for one that the matrix does not have.
        let [a, b] = [0, 1].map(|p| &panels[p.min(panels.len() - 1)]);
        let mut sums = [[[0.0; GROUP_ROWS]; ABREAST]; MOST];
        for (rows, x) in rows.chunks(tiles.len()).zip(x.chunks(tiles.len())) {
            tiles[rows.len() - 1](&[a, b], x, &mut sums);
            for (row, sums) in rows.iter().zip(&sums) {
                self.write(row, sums.as_flattened(), first, last);
            }
        }
    }

    /// As many sums as there are matrix rows from `first` to `last`, if not fewer.
    fn write(&self, row: &Row, sums: &[f32], first: usize, last: usize) {
        const BOTH: usize = ABREAST * GROUP_ROWS;
        let at = row.out * self.source.w.rows + first;
        match sums.len().min(last - first) {
            // SAFETY: the place belongs to these matrix rows and this activation row, and each
            // pair of the two is in one item of the dispatch.
            BOTH => unsafe { self.out.write(at, &sums[..BOTH]) },
            // SAFETY: as above.
            n => unsafe { self.out.write(at, &sums[..n]) },
        }
    }
}

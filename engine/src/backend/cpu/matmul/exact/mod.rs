//! Products with activations as they are. Codes are multiplied first, and what they come to is
//! scaled once a group, so that making numbers of them costs little. Plain numbers are in groups of
//! 128, which have no scale.
//!
//! The order of a sum: group by group. A group has two sums of its own, of the first two of every
//! four columns and of the last two. The first starts with what is too much in the numbers of
//! codes, negated; both take their columns one after the other, each by one fused multiply-add.
//! One more adds both together, times the group's scale, to the whole, and one the minimum times
//! the sum of activations. A row whose length is no multiple of 32 ends in zeros.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod kernels;
#[cfg(target_arch = "x86_64")]
mod lines;
mod placed;
mod plain;
#[cfg(target_arch = "x86_64")]
mod plain_lines;

use super::fast::codes::{Coded, E2M1_ZERO};
use super::fast::panel::Panel;
use super::fast::source::Source;
use super::fast::strip::{BLOCK, GROUP_ROWS, Strip};
use super::groups::{Group, Groups, Row};
use super::lanes::{LANES, Lanes};
use super::output::Output;
use super::{Job, Matrices, Misfit, rows_to_read};
use crate::backend::cpu::pool::Pool;
use kernels::{Line, Stripes, Wall};
use placed::{Block, Placed};
use plain::{Columns, Plain};
use std::cell::RefCell;

/// More activation rows than these are worth making numbers of codes for.
const FEW: usize = 3;
/// Blocks whose numbers are made at a time: with 32 rows half of the first cache. As many are a
/// group of plain numbers.
const NEAR: usize = 4;
/// Matrix rows that a thread takes at a time where it computes rather than reads.
const BROAD: usize = 2 * LANES;

/// What a thread works in; kept from product to product.
struct Scratch {
    strip: Box<Strip>,
    /// Of eight rows each.
    panels: Vec<Panel>,
    columns: Columns,
    /// Of sixteen rows each.
    walls: [Wall; BROAD / LANES],
    /// `[sixteen rows][activation row]`
    sums: Vec<Lanes>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        strip: Box::new(Strip::EMPTY),
        panels: Vec::new(),
        columns: Vec::new(),
        walls: Default::default(),
        sums: Vec::new(),
    });
}

/// Everything that is the same for all items.
struct Plan<'p> {
    w: &'p Matrices<'p>,
    numbers: Numbers<'p>,
    codes: Codes,
    x: Placed,
    out: &'p Output<'p>,
    stripes: Option<Stripes>,
    /// For rows that lie together.
    line: Option<Line>,
}

/// Where a matrix' numbers come from.
enum Numbers<'p> {
    Codes(Source<'p>),
    Plain(Plain<'p>),
}

/// What a format's codes are like; the words are those of `Coded`.
struct Codes {
    kind: Kind,
    halves: usize,
    zero: i32,
    mins: bool,
}

/// How numbers are made of what is stored; see `placed`.
#[derive(Clone, Copy)]
enum Kind {
    /// Of so many bits, below an exponent.
    Below(i32),
    /// Converted where they stand.
    InPlace,
    /// With a sign, at the top of their words.
    Signed,
    /// Less their zero.
    Centred,
    /// They are stored.
    Plain,
}

impl Codes {
    fn of(coded: &Coded, signed: bool) -> Codes {
        let kind = match coded.mins {
            Some(bits) => Kind::Below(bits),
            None if signed => Kind::Signed,
            None if coded.zero == E2M1_ZERO => Kind::Centred,
            None => Kind::InPlace,
        };
        Codes { kind, halves: coded.halves, zero: coded.zero, mins: coded.mins.is_some() }
    }
}

pub(super) fn job<'j>(
    pool: &Pool,
    w: &'j Matrices,
    x: &[f32],
    n: usize,
    groups: &'j Groups,
    out: &'j Output,
) -> Result<Job<'j>, Misfit> {
    let (line, fill) = match w.eights {
        true => kernels::arranged(w.format.name, pool.level()),
        false => (None, None),
    };
    let (numbers, codes) = match Source::narrow(w, pool.level()) {
        Some((source, signed)) => {
            let codes = Codes::of(&source.coded, signed);
            (Numbers::Codes(source), codes)
        }
        None => {
            let mut decoders = w.format.decoders().filter(|(level, _)| *level <= pool.level());
            let decode = decoders.next().ok_or(Misfit::Format(w.format.name))?.1;
            let codes = Codes { kind: Kind::Plain, halves: 1, zero: 0, mins: false };
            (Numbers::Plain(Plain { w, decode, fill }), codes)
        }
    };
    let x = Placed::new(pool, &codes, x, n, w.cols);
    let stripes = kernels::stripes(&codes, pool.level());
    let plan = Plan { w, numbers, codes, x, out, stripes, line };
    let only_read = line.is_some() && groups.0.iter().all(|group| group.rows.len() <= FEW);
    let item_rows = if only_read { rows_to_read(pool, w.rows) } else { BROAD };
    Ok(Job::of_rows(w, groups, item_rows, move |group, first, last| {
        SCRATCH.with_borrow_mut(|scratch| plan.item(group, first, last, scratch));
    }))
}

impl Plan<'_> {
    fn item(&self, group: &Group, first: usize, last: usize, scratch: &mut Scratch) {
        match (self.line, self.stripes) {
            (Some(line), _) if group.rows.len() <= FEW => {
                for first in (first..last).step_by(GROUP_ROWS) {
                    let w = self.w.eight(group.matrix, first);
                    for row in &group.rows {
                        let mut sums = [0.0; GROUP_ROWS];
                        line(w, self.x.row(row.x), &mut sums);
                        self.write(row, &sums, first, last);
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
        let Scratch { strip, columns, .. } = scratch;
        match &self.numbers {
            Numbers::Codes(source) => {
                source.strips(group.matrix, first..last, strip, |strip, start, n_blocks| {
                    for (row, sums) in group.rows.iter().zip(&mut sums) {
                        let x = &self.x.row(row.x)[start..start + n_blocks];
                        for (w, sum) in sums.iter_mut().enumerate() {
                            let codes = strip.codes[w].0.as_chunks::<4>().0;
                            let four = |at: usize| self.codes.numbers(codes[at]);
                            let scale =
                                |group: usize| (strip.scales[group][w], strip.mins[group][w]);
                            kernels::readable(&self.codes, x, four, scale, sum);
                        }
                    }
                });
            }
            Numbers::Plain(plain) => {
                plain.columns(group.matrix, first..last, 0..self.w.cols, columns);
                for (row, sums) in group.rows.iter().zip(&mut sums) {
                    plain::readable(columns, self.x.row(row.x), sums);
                }
            }
        }
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
        let Scratch { strip, panels, columns, walls, sums } = scratch;
        let (n_panels, n_rows) = ((last - first).div_ceil(GROUP_ROWS), group.rows.len());
        panels.resize_with(n_panels.max(panels.len()), Panel::default);
        if let Numbers::Codes(source) = &self.numbers {
            for (p, panel) in panels[..n_panels].iter_mut().enumerate() {
                let first = first + p * GROUP_ROWS;
                let rows = first..last.min(first + GROUP_ROWS);
                source.fill(group.matrix, rows, strip, panel);
            }
        }
        for row in &group.rows {
            self.out.fetch(row.out * self.w.rows + first, last - first);
        }
        let walls = &mut walls[..(last - first).div_ceil(LANES)];
        sums.clear();
        sums.resize(walls.len() * n_rows, Lanes::ZERO);
        let n_blocks = self.w.cols.div_ceil(BLOCK);
        for start in (0..n_blocks).step_by(NEAR) {
            let blocks = start..n_blocks.min(start + NEAR);
            for ((at, wall), panels) in
                walls.iter_mut().enumerate().zip(panels[..n_panels].chunks(2))
            {
                match &self.numbers {
                    Numbers::Codes(_) => {
                        // The last panel stands in for one that the matrix does not have.
                        let both = [&panels[0], &panels[panels.len() - 1]];
                        (stripes.build)(&both, blocks.clone(), &self.codes, wall);
                    }
                    Numbers::Plain(plain) => {
                        let first = first + at * LANES;
                        let rows = first..last.min(first + LANES);
                        plain.build(group.matrix, rows, blocks.clone(), columns, wall);
                    }
                }
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
        let at = row.out * self.w.rows + first;
        // Copying so many is an instruction or two if it is known how many they are.
        match sums.len().min(last - first) {
            // SAFETY: the place belongs to these matrix rows and this activation row, and each pair
            // of the two is in one item of the dispatch.
            LANES => unsafe { self.out.write(at, &sums[..LANES]) },
            // SAFETY: as above.
            GROUP_ROWS => unsafe { self.out.write(at, &sums[..GROUP_ROWS]) },
            // SAFETY: as above.
            n => unsafe { self.out.write(at, &sums[..n]) },
        }
    }
}

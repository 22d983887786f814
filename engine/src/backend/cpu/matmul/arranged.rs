//! Matrices in the order in which products read them: the blocks of eight rows lie together, number
//! by number, so that a register holds the same columns of all eight, and no sum ever goes across a
//! register. The same bytes in another order; a last few rows are filled up to eight with zeros.
//! Knows how blocks are laid out, not what is computed with them.

use super::super::level::Level;
use super::super::pages::{Pages, Place};
use super::super::pool::Pool;
use super::Matrices;
use super::fast::strip::BLOCK;
use super::output::Output;
use crate::quant::Format;

/// Rows that lie together.
pub(super) const EIGHT: usize = 8;

/// How a block is made up: so many numbers of so many bytes, one kind after the other.
pub(super) struct Layout {
    kinds: &'static [(usize, usize)],
    /// Where a word lies whose bit 4·k + j belongs to byte j of the k-th word of codes; it becomes
    /// bit 8·j + k, so that one shift of a word serves four codes.
    fifths: Option<usize>,
}

/// The formats that models mostly hold; for the others, rearranging would not pay.
pub(super) fn layout(format: &Format) -> Option<Layout> {
    let (kinds, fifths): (&[(usize, usize)], _) = match format.name {
        "F32" => (&[(4, 1)], None),
        "F16" | "BF16" => (&[(2, 1)], None),
        "Q4_0" => (&[(2, 1), (4, 4)], None),
        "Q5_0" => (&[(2, 1), (4, 5)], Some(2)),
        "Q8_0" => (&[(2, 1), (4, 8)], None),
        "MXFP4" => (&[(1, 1), (4, 4)], None),
        "Q4_K" => (&[(2, 2), (4, 35)], None),
        "Q5_K" => (&[(2, 2), (4, 43)], None),
        "Q6_K" => (&[(4, 52), (2, 1)], None),
        _ => return None,
    };
    Some(Layout { kinds, fifths })
}

impl Layout {
    /// Where each number of a block lies in it: offset and bytes.
    fn numbers(&self) -> impl Iterator<Item = (usize, usize)> {
        let all = self.kinds.iter().flat_map(|(bytes, n)| std::iter::repeat_n(*bytes, *n));
        all.scan(0, |end, bytes| {
            *end += bytes;
            Some((*end - bytes, bytes))
        })
    }

    /// Puts the block of one row among those of eight.
    fn put(&self, block: &[u8], row: usize, eight: &mut [u8]) {
        for (at, bytes) in self.numbers() {
            let to = &mut eight[EIGHT * at + row * bytes..];
            match bytes {
                // Whole words, because most are, and a copy of known length is no call.
                4 => to[..4].copy_from_slice(&block[at..][..4]),
                _ => to[..bytes].copy_from_slice(&block[at..][..bytes]),
            }
        }
        if let Some(at) = self.fifths {
            turn_bits(&mut eight[EIGHT * at + 4 * row..][..4], |k, j| (4 * k + j, 8 * j + k));
        }
    }

    /// The block of one row of eight.
    pub(super) fn take(&self, eight: &[u8], row: usize, block: &mut [u8]) {
        for (at, bytes) in self.numbers() {
            block[at..][..bytes].copy_from_slice(&eight[EIGHT * at + row * bytes..][..bytes]);
        }
        if let Some(at) = self.fifths {
            turn_bits(&mut block[at..][..4], |k, j| (8 * j + k, 4 * k + j));
        }
    }
}

/// Moves the bits of a word; `places` says from where to where.
fn turn_bits(word: &mut [u8], places: impl Fn(usize, usize) -> (usize, usize)) {
    let from = word.iter().rev().fold(0u32, |word, byte| word << 8 | u32::from(*byte));
    let mut to = 0;
    for k in 0..8 {
        for j in 0..4 {
            let (bit, place) = places(k, j);
            to |= (from >> bit & 1) << place;
        }
    }
    word.copy_from_slice(&to.to_le_bytes());
}

/// One or several matrices, arranged.
#[derive(Debug)]
pub struct Arranged {
    format: &'static Format,
    n_matrices: usize,
    rows: usize,
    cols: usize,
    place: Place,
}

impl Arranged {
    /// A copy of some matrices; none if this machine computes with them as they are, or has no
    /// memory for it.
    pub fn new(pool: &Pool, pages: &mut Pages, w: &Matrices) -> Option<Arranged> {
        let wanted = pool.level() >= Level::Avx2 && !w.eights && w.cols.is_multiple_of(BLOCK);
        let layout = layout(w.format).filter(|_| wanted)?;
        let (eights, bytes) = (w.rows.div_ceil(EIGHT), EIGHT * w.row_bytes);
        let mut place = pages.place(w.n_matrices * eights * bytes)?;
        let out = Output::new(place.bytes_mut());
        let block = w.format.block_bytes;
        pool.each(w.n_matrices * eights, &|item| {
            let (matrix, first) = (item / eights, item % eights * EIGHT);
            // SAFETY: each item has a place of its own.
            let own = unsafe { out.part(item * bytes, bytes) };
            for row in first..w.rows.min(first + EIGHT) {
                let blocks = w.row(matrix, row).chunks_exact(block);
                for (block, eight) in blocks.zip(own.chunks_exact_mut(EIGHT * block)) {
                    layout.put(block, row - first, eight);
                }
            }
        });
        let &Matrices { format, n_matrices, rows, cols, .. } = w;
        Some(Arranged { format, n_matrices, rows, cols, place })
    }

    /// The matrices, to multiply with.
    pub fn matrices(&self) -> Matrices<'_> {
        let row_bytes = self.cols / self.format.block_len * self.format.block_bytes;
        let bytes = self.place.bytes();
        let &Arranged { format, n_matrices, rows, cols, .. } = self;
        Matrices { format, n_matrices, rows, cols, row_bytes, bytes, eights: true }
    }
}

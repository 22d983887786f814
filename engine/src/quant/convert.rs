//! Turns the rows of a tensor from one format into another on several threads and measures what
//! that costs. Knows formats and rows of bytes, not files. The result and the measures do not
//! depend on the number of threads.

use super::encode::{Rule, Tally, Unencodable};
use super::{Decode, Format, encode::Encode};
use std::io;
use std::panic::resume_unwind;
use std::thread::{self, ScopedJoinHandle};

/// About how many elements one thread turns at a time.
const PIECE_ELEMENTS: usize = 1 << 17;

/// What a conversion did to the values.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Loss {
    /// Sum of squared errors.
    pub error: f64,
    /// Sum of squared values.
    pub energy: f64,
    /// The largest error, as a share of the largest value in its block of the new format.
    pub worst: f64,
    /// The largest value.
    pub peak: f32,
    /// What the encoder counted.
    pub tally: Tally,
}

impl Loss {
    /// Squared error over squared values; 0 where both are nothing.
    pub fn nmse(&self) -> f64 {
        if self.error == 0.0 { 0.0 } else { self.error / self.energy }
    }

    fn add(&mut self, other: &Loss) {
        self.error += other.error;
        self.energy += other.energy;
        self.worst = self.worst.max(other.worst);
        self.peak = self.peak.max(other.peak);
        self.tally += other.tally;
    }

    fn of(before: &[f32], after: &[f32], block_len: usize, tally: Tally) -> Self {
        let mut loss = Loss { tally, ..Loss::default() };
        for (before, after) in before.chunks(block_len).zip(after.chunks(block_len)) {
            let (mut error, mut peak) = (0.0f64, 0.0f32);
            for (before, after) in before.iter().zip(after) {
                let off = f64::from(*after) - f64::from(*before);
                loss.error += off * off;
                loss.energy += f64::from(*before) * f64::from(*before);
                error = error.max(off.abs());
                peak = peak.max(before.abs());
            }
            if error > 0.0 {
                loss.worst = loss.worst.max(error / f64::from(peak));
            }
            loss.peak = loss.peak.max(peak);
        }
        loss
    }
}

/// A conversion of whole rows.
#[derive(Debug, Clone, Copy)]
pub struct Conversion {
    from: &'static Format,
    to: &'static Format,
    decode: Decode,
    encode: Encode,
    back: Decode,
    rule: Rule,
    row_len: usize,
}

impl Conversion {
    /// From one format to another, or none if the first has no decoder, the second no encoder,
    /// or a row of `row_len` elements is not whole blocks of both.
    pub fn new(
        from: &'static Format,
        to: &'static Format,
        rule: Rule,
        row_len: usize,
    ) -> Option<Self> {
        let (decode, encode, back) = (from.decode()?, to.encode?, to.decode()?);
        let whole = |format: &Format| row_len.is_multiple_of(format.block_len);
        let fits = row_len > 0 && whole(from) && whole(to);
        fits.then_some(Conversion { from, to, decode, encode, back, rule, row_len })
    }

    /// Bytes that `elements` elements take in the new format.
    pub fn bytes(&self, elements: u64) -> u64 {
        elements / self.to.block_len as u64 * self.to.block_bytes as u64
    }

    /// Converts all of `data`, handing each piece of the result to `take` in order.
    pub fn run<E: From<Unencodable>>(
        &self,
        data: &[u8],
        threads: usize,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<Loss, E> {
        let piece_len = (PIECE_ELEMENTS / self.row_len).max(1) * self.row_len;
        let pieces: Vec<&[u8]> = data.chunks(bytes(self.from, piece_len)).collect();
        let mut total = Loss::default();
        for (round, pieces) in pieces.chunks(threads.max(1)).enumerate() {
            let converted = self.side_by_side(pieces);
            for (index, piece) in converted.into_iter().enumerate() {
                let before = (round * threads.max(1) + index) * piece_len;
                let (bytes, loss) = piece.map_err(|refusal| self.placed(refusal, before))?;
                total.add(&loss);
                take(&bytes)?;
            }
        }
        Ok(total)
    }

    fn side_by_side(&self, pieces: &[&[u8]]) -> Vec<Result<(Vec<u8>, Loss), Unencodable>> {
        thread::scope(|scope| {
            let start =
                |piece| thread::Builder::new().spawn_scoped(scope, move || self.piece(piece));
            let started: Vec<_> = pieces.iter().map(|piece| (*piece, start(piece))).collect();
            let end = |(piece, started): (&[u8], io::Result<ScopedJoinHandle<_>>)| match started {
                // A panic over there goes on as a panic here.
                Ok(other) => other.join().unwrap_or_else(|why| resume_unwind(why)),
                // A machine out of threads still has this one.
                Err(_) => self.piece(piece),
            };
            started.into_iter().map(end).collect()
        })
    }

    fn piece(&self, piece: &[u8]) -> Result<(Vec<u8>, Loss), Unencodable> {
        let count = piece.len() / self.from.block_bytes * self.from.block_len;
        let mut before = vec![0.0; count];
        (self.decode)(piece, &mut before);
        let mut encoded = vec![0; bytes(self.to, count)];
        let tally = (self.encode)(&before, &mut encoded, self.rule)?;
        let mut after = vec![0.0; count];
        (self.back)(&encoded, &mut after);
        let loss = Loss::of(&before, &after, self.to.block_len, tally);
        Ok((encoded, loss))
    }

    /// Positions counted from the start of the data instead of the piece.
    fn placed(&self, refusal: Unencodable, before: usize) -> Unencodable {
        match refusal {
            Unencodable::NonFinite { element, value } => {
                Unencodable::NonFinite { element: before + element, value }
            }
            Unencodable::ScaleOverflow { block, scale } => {
                let block = before / self.to.block_len + block;
                Unencodable::ScaleOverflow { block, scale }
            }
        }
    }
}

fn bytes(format: &Format, elements: usize) -> usize {
    elements / format.block_len * format.block_bytes
}

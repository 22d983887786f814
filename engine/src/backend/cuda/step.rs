//! A batch on the device: rows, which of them want logits, and the angles of every rotation,
//! computed on the host in f64. All of it in one piece of memory and one copy.

use super::module::Argument;
use super::rows::{Piece, Scratch};
use crate::adapters::Rope;
use crate::batch::{Batch, Role};
use crate::error::{Error, Result};

/// A batch, ready to be read by kernels.
pub struct Step {
    piece: Piece,
    /// How many rows there are.
    pub(super) rows: usize,
    /// Whether some are of a prompt, and whether some were generated.
    pub(super) prompt: bool,
    pub(super) generated: bool,
    /// How many of them want logits.
    pub(super) wanted: usize,
    /// Which.
    pub(super) wants: Vec<bool>,
    /// Pairs of each rotation.
    pairs: Vec<usize>,
    wanted_at: usize,
    /// For each rotation, where its cosines and its sines start.
    angles_at: Vec<(usize, usize)>,
}

/// An address on the device.
pub(super) struct Address(u64);

impl Argument for Address {
    fn bits(&self) -> u64 {
        self.0
    }
}

impl Step {
    pub(super) fn new(scratch: &Scratch, batch: &Batch, ropes: &[Rope]) -> Result<Step> {
        let mut words: Vec<u32> = Vec::new();
        for row in &batch.rows {
            // `struct Row` of step.cuh.
            words.extend([row.token, row.position, row.slot, u32::from(row.role == Role::Prompt)]);
        }
        let wanted = batch.wanted();
        let wanted_at = 4 * words.len();
        words.extend(&wanted);
        let mut angles_at = Vec::new();
        for rope in ropes {
            let pairs = rope.pairs();
            let (mut cos, mut sin) = (vec![0.0; pairs], vec![0.0; pairs]);
            let mut sines = Vec::new();
            let cosines_at = 4 * words.len();
            for row in &batch.rows {
                rope.turn(row.position, row.total, &mut cos, &mut sin);
                words.extend(cos.iter().map(|x| x.to_bits()));
                sines.extend(sin.iter().map(|x| x.to_bits()));
            }
            angles_at.push((cosines_at, 4 * words.len()));
            words.extend(sines);
        }
        let bytes: &[u8] = bytemuck::cast_slice(&words);
        let piece = scratch.piece(bytes.len())?;
        piece.write(bytes)?;
        let (rows, wanted) = (batch.rows.len(), wanted.len());
        let any = |role: Role| batch.rows.iter().any(|row| row.role == role);
        let (prompt, generated) = (any(Role::Prompt), any(Role::Generated));
        let wants = batch.rows.iter().map(|row| row.logits).collect();
        let pairs = ropes.iter().map(Rope::pairs).collect();
        Ok(Step { piece, rows, prompt, generated, wanted, wants, pairs, wanted_at, angles_at })
    }

    /// The rows.
    pub(super) fn rows_address(&self) -> Address {
        Address(self.piece.at(0))
    }

    /// Row `row`.
    pub(super) fn row_address(&self, row: usize) -> Address {
        Address(self.piece.at(16 * row))
    }

    /// Cosines and sines of rotation `table` for row `row`.
    pub(super) fn angles_of(&self, table: usize, row: usize) -> Option<(Address, Address)> {
        let at = 4 * row * self.pairs.get(table)?;
        let (cosines, sines) = self.angles_at.get(table)?;
        Some((Address(self.piece.at(cosines + at)), Address(self.piece.at(sines + at))))
    }

    /// The indices of the rows that want logits.
    pub(super) fn wanted_address(&self) -> Address {
        Address(self.piece.at(self.wanted_at))
    }

    /// How `count` rows are found among the step's: null if they are all of them, else the indices
    /// of those that are wanted.
    pub(super) fn behind(&self, count: usize) -> Result<Address> {
        match count {
            count if count == self.rows => Ok(Address(0)),
            count if count == self.wanted => Ok(self.wanted_address()),
            count => {
                let (rows, wanted) = (self.rows, self.wanted);
                let detail = format!("{count} rows of a step of {rows}, {wanted} of them wanted");
                Err(Error::Usage(detail))
            }
        }
    }

    /// Cosines and sines of rotation `table`.
    pub(super) fn angles(&self, table: usize) -> Option<(Address, Address)> {
        let (cosines, sines) = self.angles_at.get(table)?;
        Some((Address(self.piece.at(*cosines)), Address(self.piece.at(*sines))))
    }
}

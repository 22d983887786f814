//! A batch on the device: rows, which of them want logits, and the angles of every rotation,
//! computed on the host in f64. All of it in one piece of memory and one copy.

use super::module::Argument;
use super::rows::{Piece, Scratch};
use crate::adapters::Rope;
use crate::batch::{Batch, Role};
use crate::error::Result;

/// A batch, ready to be read by kernels.
pub struct Step {
    piece: Piece,
    /// How many rows there are.
    pub(super) rows: usize,
    /// How many of them want logits.
    pub(super) wanted: usize,
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
        Ok(Step { piece, rows, wanted, wanted_at, angles_at })
    }

    /// The rows.
    pub(super) fn rows_address(&self) -> Address {
        Address(self.piece.at(0))
    }

    /// The indices of the rows that want logits.
    pub(super) fn wanted_address(&self) -> Address {
        Address(self.piece.at(self.wanted_at))
    }

    /// Cosines and sines of rotation `table`.
    pub(super) fn angles(&self, table: usize) -> Option<(Address, Address)> {
        let (cosines, sines) = self.angles_at.get(table)?;
        Some((Address(self.piece.at(*cosines)), Address(self.piece.at(*sines))))
    }
}

//! A batch on the device: rows, which of them want logits, and the angles of every rotation,
//! computed on the host in f64. All of it in one piece of memory and one copy.

use super::module::Argument;
use super::rows::{Piece, Scratch};
use crate::adapters::Rope;
use crate::adapters::rope::Turner;
use crate::batch::{Batch, Role, Row};
use crate::error::{Error, Result};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A batch, ready to be read by kernels.
pub struct Step {
    piece: Arc<Piece>,
    /// How many rows there are.
    pub(super) rows: usize,
    /// Whether some are of a prompt, and whether some were generated.
    pub(super) prompt: bool,
    pub(super) generated: bool,
    /// Whether each is of another sequence.
    pub(super) apart: bool,
    /// How many of them want logits.
    pub(super) wanted: usize,
    /// Which.
    pub(super) wants: Vec<bool>,
    /// Prompt rows and generated rows apart, if there are both, in an order in which every row
    /// comes after those before it in its sequence.
    pub(super) parts: Vec<Part>,
    /// Rows of prompts that follow one another in one sequence: where they start, and how many.
    pub(super) runs: Vec<(usize, usize)>,
    runs_at: usize,
    /// Pairs of each rotation.
    pairs: Vec<usize>,
    rows_at: usize,
    wanted_at: usize,
    /// For each rotation, where its cosines and its sines start.
    angles_at: Vec<(usize, usize)>,
}

/// Rows of one role out of a batch.
pub(super) struct Part {
    pub(super) step: Step,
    /// Of each row of `step`, in order: its index in the batch.
    pub(super) rows: Vec<usize>,
}

/// Of `struct Row` of step.cuh.
const ROW_BYTES: usize = 16;

/// An address on the device.
pub(super) struct Address(u64);

impl Argument for Address {
    fn bits(&self) -> u64 {
        self.0
    }
}

impl Step {
    pub(super) fn new(scratch: &Scratch, batch: &Batch, ropes: &[Rope]) -> Result<Step> {
        let mut step = Step::whole(scratch, batch, ropes)?;
        if step.prompt && step.generated {
            for rows in phases(batch) {
                let batch = Batch { rows: rows.iter().map(|at| batch.rows[*at]).collect() };
                step.parts.push(Part { step: Step::whole(scratch, &batch, ropes)?, rows });
            }
        }
        Ok(step)
    }

    fn whole(scratch: &Scratch, batch: &Batch, ropes: &[Rope]) -> Result<Step> {
        let mut words: Vec<u32> = Vec::new();
        for row in &batch.rows {
            // `struct Row` of step.cuh.
            words.extend([row.token, row.position, row.slot, u32::from(row.role == Role::Prompt)]);
        }
        let wanted = batch.wanted();
        let wanted_at = 4 * words.len();
        words.extend(&wanted);
        let (runs, runs_at) = (runs(batch), 4 * words.len());
        words.extend(runs.iter().flat_map(|(first, count)| [*first as u32, *count as u32]));
        let mut angles_at = Vec::new();
        for rope in ropes {
            let (cosines, sines) = angles(rope, &batch.rows);
            let cosines_at = 4 * words.len();
            words.extend(cosines.iter().map(|x| x.to_bits()));
            angles_at.push((cosines_at, 4 * words.len()));
            words.extend(sines.iter().map(|x| x.to_bits()));
        }
        let bytes: &[u8] = bytemuck::cast_slice(&words);
        let piece = scratch.piece(bytes.len())?;
        piece.write_later(bytes)?;
        let piece = Arc::new(piece);
        let (rows, wanted) = (batch.rows.len(), wanted.len());
        let any = |role: Role| batch.rows.iter().any(|row| row.role == role);
        let (prompt, generated) = (any(Role::Prompt), any(Role::Generated));
        let wants = batch.rows.iter().map(|row| row.logits).collect();
        let pairs = ropes.iter().map(Rope::pairs).collect();
        let (parts, rows_at) = (Vec::new(), 0);
        let slots: HashSet<u32> = batch.rows.iter().map(|row| row.slot).collect();
        let apart = slots.len() == rows;
        Ok(Step {
            piece,
            rows,
            prompt,
            generated,
            apart,
            wanted,
            wants,
            parts,
            runs,
            runs_at,
            pairs,
            rows_at,
            wanted_at,
            angles_at,
        })
    }

    /// Row `row`, of a step whose rows all want logits, as a step of its own. It shares this one's
    /// memory: what is written to the one is read in the other.
    pub(super) fn one(&self, row: usize) -> Step {
        let each = self.angles_at.iter().zip(&self.pairs);
        let moved = |((cosines, sines), pairs): (&(usize, usize), &usize)| {
            (cosines + 4 * row * pairs, sines + 4 * row * pairs)
        };
        Step {
            piece: self.piece.clone(),
            rows: 1,
            prompt: self.prompt,
            generated: self.generated,
            apart: true,
            wanted: 1,
            wants: vec![true],
            parts: Vec::new(),
            // A row of its own was generated.
            runs: Vec::new(),
            runs_at: self.runs_at,
            pairs: self.pairs.clone(),
            rows_at: self.rows_at + ROW_BYTES * row,
            // The list of wanted rows begins with 0 if the first row is wanted, as here all are.
            wanted_at: self.wanted_at,
            angles_at: each.map(moved).collect(),
        }
    }

    /// The rows.
    pub(super) fn rows_address(&self) -> Address {
        Address(self.piece.at(self.rows_at))
    }

    /// The runs.
    pub(super) fn runs_address(&self) -> Address {
        Address(self.piece.at(self.runs_at))
    }

    /// Pairs of each rotation.
    pub(super) fn pairs(&self) -> &[usize] {
        &self.pairs
    }

    /// Row `row`.
    pub(super) fn row_address(&self, row: usize) -> Address {
        Address(self.piece.at(self.rows_at + ROW_BYTES * row))
    }

    /// Where the token of row `row` stands: the first word of `struct Row`.
    pub(super) fn token_address(&self, row: usize) -> u64 {
        self.row_address(row).0
    }

    /// The memory that the rows stand in, and where in it the token of row `row` is.
    pub(super) fn token_place(&self, row: usize) -> (&Piece, usize) {
        (&self.piece, self.rows_at + ROW_BYTES * row)
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

/// The rows of a batch by index, in phases of one role each: prompt, generated, prompt, … A row is
/// in the first phase of its role that comes after all rows before it in its sequence.
fn phases(batch: &Batch) -> Vec<Vec<usize>> {
    let mut phases: Vec<Vec<usize>> = Vec::new();
    let mut reached: HashMap<u32, usize> = HashMap::new();
    for (index, row) in batch.rows.iter().enumerate() {
        let phase = reached.entry(row.slot).or_insert(0);
        *phase += usize::from(phase.is_multiple_of(2) != (row.role == Role::Prompt));
        if phases.len() <= *phase {
            phases.resize_with(*phase + 1, Vec::new);
        }
        phases[*phase].push(index);
    }
    phases.retain(|rows| !rows.is_empty());
    phases
}

/// Rows that one thread turns: fewer are not worth a thread.
const TURNED: usize = 256;

/// Cosines and sines of all rows.
fn angles(rope: &Rope, rows: &[Row]) -> (Vec<f32>, Vec<f32>) {
    let pairs = rope.pairs();
    let (mut cosines, mut sines) = (vec![0.0; pairs * rows.len()], vec![0.0; pairs * rows.len()]);
    let some = |rows: &[Row], cosines: &mut [f32], sines: &mut [f32]| {
        let mut turner: Option<(u32, Turner<'_>)> = None;
        let places = cosines.chunks_exact_mut(pairs).zip(sines.chunks_exact_mut(pairs));
        for (row, (cosines, sines)) in rows.iter().zip(places) {
            let known = turner.take().filter(|(total, _)| *total == row.total);
            let (_, turner) =
                turner.insert(known.unwrap_or_else(|| (row.total, rope.turner(row.total))));
            turner.turn(row.position, cosines, sines);
        }
    };
    let step = TURNED * pairs.max(1);
    let parts = cosines.chunks_mut(step).zip(sines.chunks_mut(step));
    std::thread::scope(|scope| {
        for (rows, (cosines, sines)) in rows.chunks(TURNED).zip(parts) {
            match rows.len() < TURNED {
                true => some(rows, cosines, sines),
                false => drop(scope.spawn(move || some(rows, cosines, sines))),
            }
        }
    });
    (cosines, sines)
}

fn runs(batch: &Batch) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (index, row) in batch.rows.iter().enumerate() {
        if row.role != Role::Prompt {
            continue;
        }
        let follows = |first: usize, count: usize| {
            let before = &batch.rows[first];
            first + count == index
                && before.slot == row.slot
                && u64::from(before.position) + count as u64 == u64::from(row.position)
        };
        match runs.last_mut() {
            Some((first, count)) if follows(*first, *count) => *count += 1,
            _ => runs.push((index, 1)),
        }
    }
    runs
}

//! Codes of eight matrix rows as a tile reads them: a register holds a few neighbouring columns of
//! every row, so that the sums of eight rows are the lanes of one register.

use super::codes::Coded;
use super::strip::GROUP_ROWS;

/// A register's worth.
#[derive(Clone, Copy)]
#[repr(C, align(32))]
pub(in super::super) struct Register(pub(in super::super) [u8; 32]);

/// Eight whole rows.
#[derive(Clone, Default)]
pub(in super::super) struct Panel {
    /// `[block][columns of four, or two if wide]`, each of all rows, four bytes a row.
    pub(in super::super) codes: Vec<Register>,
    /// `[group]`
    pub(in super::super) scales: Vec<[f32; GROUP_ROWS]>,
    /// `[group]`
    pub(in super::super) mins: Vec<[f32; GROUP_ROWS]>,
}

/// Panels that a tile covers.
pub(in super::super) const ABREAST: usize = 2;

/// Registers that hold a block of narrow codes; wide ones take twice as many.
pub(in super::super) const REGISTERS: usize = 8;

impl Panel {
    /// Makes room for so many blocks.
    pub(in super::super) fn resize(&mut self, coded: &Coded, n_blocks: usize) {
        let registers = if coded.wide { 2 * REGISTERS } else { REGISTERS };
        self.codes.resize(n_blocks * registers, Register([0; 32]));
        self.scales.resize(n_blocks * coded.halves, [0.0; GROUP_ROWS]);
        self.mins.resize(n_blocks * coded.halves, [0.0; GROUP_ROWS]);
    }
}

//! Codes of eight matrix rows and some columns: what lies between a format and arithmetic.

/// Columns of a strip: a whole number of blocks of every format.
pub(in super::super) const STRIP: usize = 256;
/// Matrix rows that are multiplied together.
pub(in super::super) const GROUP_ROWS: usize = 8;
/// Columns under one scale of the activations.
pub(in super::super) const BLOCK: usize = 32;

/// A row's codes.
#[derive(Clone, Copy)]
#[repr(C, align(32))]
pub(in super::super) struct Codes(pub(in super::super) [u8; STRIP]);

/// Eight rows, column by column the same.
#[derive(Clone)]
pub(in super::super) struct Strip {
    pub(in super::super) codes: [Codes; GROUP_ROWS],
    /// Scales of each group of columns.
    pub(in super::super) scales: [[f32; GROUP_ROWS]; STRIP / 16],
    /// Minima of each group of columns, where the format has them.
    pub(in super::super) mins: [[f32; GROUP_ROWS]; STRIP / 16],
}

impl Strip {
    pub(in super::super) const EMPTY: Strip = Strip {
        codes: [Codes([0; STRIP]); GROUP_ROWS],
        scales: [[0.0; GROUP_ROWS]; STRIP / 16],
        mins: [[0.0; GROUP_ROWS]; STRIP / 16],
    };

    /// Some of a row's codes.
    #[inline(always)]
    pub(in super::super) fn codes(&mut self, row: usize, start: usize, len: usize) -> &mut [u8] {
        &mut self.codes[row].0[start..][..len]
    }
}

//! Block formats, as exhaustively as their size allows, against the formulas of
//! `reference::formats`. Knows no file: blocks are made here.

mod check;
mod encode;
mod exhaustive;
mod judged;
mod layout;
mod mx;
mod properties;
mod quantize;
mod vectors;

pub(super) use vectors::{FormatDecode, FormatEncode, FormatRow, MxElement, Mxfp4Layout};

use harness::Case;

/// Every case on block formats that is not a vector.
pub(super) fn cases() -> Vec<Case> {
    let areas = [
        judged::cases(),
        exhaustive::cases(),
        mx::cases(),
        layout::cases(),
        check::cases(),
        encode::cases(),
        properties::cases(),
        quantize::cases(),
    ];
    areas.into_iter().flatten().collect()
}

/// Whether two results are the same: equal bits, or both NaN. Payloads of NaNs differ between
/// hardware and software conversions and carry nothing here.
fn same(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
}

/// A seeded stream of numbers (SplitMix64), for blocks that nobody chose.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

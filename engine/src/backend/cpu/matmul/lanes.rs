//! Sixteen numbers side by side.

/// How many those are.
pub(super) const LANES: usize = 16;

/// Sixteen neighbouring numbers of a row, or one of sixteen rows each.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C, align(64))]
pub(in crate::backend::cpu) struct Lanes(pub(in crate::backend::cpu) [f32; LANES]);

impl Lanes {
    pub(in crate::backend::cpu) const ZERO: Lanes = Lanes([0.0; LANES]);

    /// The numbers inside a slice of lanes, in order.
    pub(in crate::backend::cpu) fn numbers(lanes: &[Lanes]) -> &[f32] {
        // SAFETY: as in `flat`.
        unsafe { std::slice::from_raw_parts(lanes.as_ptr().cast(), lanes.len() * LANES) }
    }

    /// The same, to be written.
    pub(in crate::backend::cpu) fn flat(lanes: &mut [Lanes]) -> &mut [f32] {
        // SAFETY: `Lanes` is an array of 16 floats without padding: 64 bytes, aligned to 64.
        unsafe { std::slice::from_raw_parts_mut(lanes.as_mut_ptr().cast(), lanes.len() * LANES) }
    }
}

const _: () = assert!(size_of::<Lanes>() == LANES * size_of::<f32>());

/// The sum of the lanes: halves onto each other, then neighbours, neighbours again, and the last
/// two. In this order because it is the cheapest one in registers of four and eight.
pub(in crate::backend::cpu) fn fold(lanes: &Lanes) -> f32 {
    let l: [f32; 8] = std::array::from_fn(|i| lanes.0[i] + lanes.0[i + 8]);
    let (low, high) = ((l[0] + l[1]) + (l[2] + l[3]), (l[4] + l[5]) + (l[6] + l[7]));
    low + high
}

//! The order of every sum. A product of two rows of K numbers is built in 16 lanes: lane l starts
//! at zero and takes the products k = l, l + 16, l + 32, … in this order, each by one fused
//! multiply-add. A row whose length is no multiple of 16 ends in zeros. Then the lanes fold as in
//! [`fold`]. Kernels may share loads between rows and interleave rows, never change this.

/// Lanes of a sum.
pub(super) const LANES: usize = 16;

/// Sixteen neighbouring numbers of a row, or the sixteen lanes of a sum.
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

/// [`fold`] of sixteen sums at once: lane l of all of them is `sums[l·stride]`.
#[inline(always)] // so that it can be compiled once more for wider registers
pub(super) fn fold_across(sums: &[Lanes], stride: usize) -> Lanes {
    let add =
        |a: [f32; LANES], b: [f32; LANES]| -> [f32; LANES] { std::array::from_fn(|i| a[i] + b[i]) };
    let l = |i: usize| add(sums[i * stride].0, sums[(i + 8) * stride].0);
    let four = |i: usize| add(add(l(i), l(i + 1)), add(l(i + 2), l(i + 3)));
    Lanes(add(four(0), four(4)))
}

/// The sum of the lanes: halves onto each other, then neighbours, neighbours again, and the last
/// two. In this order because it is the cheapest one in registers of four and eight.
pub(in crate::backend::cpu) fn fold(lanes: &Lanes) -> f32 {
    let l: [f32; 8] = std::array::from_fn(|i| lanes.0[i] + lanes.0[i + 8]);
    let (low, high) = ((l[0] + l[1]) + (l[2] + l[3]), (l[4] + l[5]) + (l[6] + l[7]));
    low + high
}

//! Vector kernels for the decoders that a forward pass lives on, and which of them this machine
//! may run. Each is equal to its scalar twin to the bit: the same operations in the same order on
//! each element, only more of them at a time.
//!
//! Plain stores on purpose: at 256 MB they are faster than memcpy already, and non-temporal ones
//! cost a third of the speed whenever the output fits a cache.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

use super::Decode;

/// A decoder and what it takes to run it.
pub(super) type Kernel = (Level, Decode);

/// A set of instructions, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// No intrinsics: the twin that can be read.
    Scalar,
    /// AVX2 + F16C: 8 values at a time.
    Avx2,
    /// AVX-512 F as well: 16 values at a time.
    Avx512,
}

impl Level {
    /// Whether this machine can run it, as the processor and the operating system both say. The
    /// answer is cached by the standard library; asking costs a load.
    pub fn available(self) -> bool {
        match self {
            Level::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("f16c"),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => Level::Avx2.available() && is_x86_feature_detected!("avx512f"),
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod kernels {
    use super::Level::{Avx2, Avx512};
    use super::{Kernel, avx2, avx512};

    // Every entry is reached through `Format::decoders` alone, which asks `Level::available`.
    pub(crate) const Q4_0: &[Kernel] = &[
        // SAFETY: see above.
        (Avx512, |blocks, out| unsafe { avx512::q4_0(blocks, out) }),
        // SAFETY: see above.
        (Avx2, |blocks, out| unsafe { avx2::q4_0(blocks, out) }),
    ];
    // Eight codes widen in one instruction at either width; the wider one measured no faster.
    pub(crate) const Q8_0: &[Kernel] = &[
        // SAFETY: see above.
        (Avx2, |blocks, out| unsafe { avx2::q8_0(blocks, out) }),
    ];
    pub(crate) const Q4_K: &[Kernel] = &[
        // SAFETY: see above.
        (Avx512, |blocks, out| unsafe { avx512::q4_k(blocks, out) }),
        // SAFETY: see above.
        (Avx2, |blocks, out| unsafe { avx2::q4_k(blocks, out) }),
    ];
    pub(crate) const MXFP4: &[Kernel] = &[
        // SAFETY: see above.
        (Avx512, |blocks, out| unsafe { avx512::mxfp4(blocks, out) }),
        // SAFETY: see above.
        (Avx2, |blocks, out| unsafe { avx2::mxfp4(blocks, out) }),
    ];
}

#[cfg(not(target_arch = "x86_64"))]
mod kernels {
    use super::Kernel;

    pub(crate) const Q4_0: &[Kernel] = &[];
    pub(crate) const Q8_0: &[Kernel] = &[];
    pub(crate) const Q4_K: &[Kernel] = &[];
    pub(crate) const MXFP4: &[Kernel] = &[];
}

pub(super) use kernels::{MXFP4, Q4_0, Q4_K, Q8_0};

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
    /// AVX-512 VNNI as well: whole numbers of 8 and 16 bits multiplied and added in one.
    Vnni,
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
            #[cfg(target_arch = "x86_64")]
            Level::Vnni => Level::Avx512.available() && is_x86_feature_detected!("avx512vnni"),
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod kernels {
    use super::Level::{Avx2, Avx512};
    use super::{Kernel, avx2, avx512};

    /// Kernels by level. Q8_0 has none wider: eight codes widen in one instruction already, and
    /// sixteen measured no faster.
    macro_rules! kernels {
        ($($name:ident: $($level:ident $module:ident)+, $function:ident;)*) => {$(
            pub(crate) const $name: &[Kernel] = &[$(
                // SAFETY: reached through `Format::decoders` alone, which asks
                // `Level::available`.
                ($level, |blocks, out| unsafe { $module::$function(blocks, out) }),
            )+];
        )*};
    }

    kernels! {
        F16: Avx2 avx2, f16;
        Q4_0: Avx512 avx512 Avx2 avx2, q4_0;
        Q4_1: Avx2 avx2, q4_1;
        Q5_0: Avx2 avx2, q5_0;
        Q5_1: Avx2 avx2, q5_1;
        Q8_0: Avx2 avx2, q8_0;
        Q3_K: Avx2 avx2, q3_k;
        Q4_K: Avx512 avx512 Avx2 avx2, q4_k;
        Q5_K: Avx2 avx2, q5_k;
        Q6_K: Avx2 avx2, q6_k;
        IQ4_NL: Avx2 avx2, iq4_nl;
        IQ4_XS: Avx2 avx2, iq4_xs;
        MXFP4: Avx512 avx512 Avx2 avx2, mxfp4;
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod kernels {
    use super::Kernel;

    macro_rules! none {
        ($($name:ident)*) => { $(pub(crate) const $name: &[Kernel] = &[];)* };
    }

    none!(F16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS MXFP4);
}

pub(super) use kernels::*;

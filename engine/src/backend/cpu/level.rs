//! Which instructions the kernels of this backend may use. Knows the machine, no kernel.

pub use crate::quant::simd::Level;

/// Whether this machine can run the kernels written for `level`. They need fused multiply-add
/// beside what the decoders need.
pub fn available(level: Level) -> bool {
    match level {
        Level::Scalar => true,
        #[cfg(target_arch = "x86_64")]
        _ => level.available() && is_x86_feature_detected!("fma"),
        #[cfg(not(target_arch = "x86_64"))]
        _ => false,
    }
}

/// Every level this machine can run, weakest first.
pub fn levels() -> impl Iterator<Item = Level> {
    let all = [Level::Scalar, Level::Avx2, Level::Avx512, Level::Vnni];
    all.into_iter().filter(|level| available(*level))
}

/// The strongest of them.
pub fn best() -> Level {
    levels().last().unwrap_or(Level::Scalar)
}

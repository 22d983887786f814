//! Reads memory and does nothing else, to know how fast that is: what bounds generation.

use super::pool::Pool;
use std::hint::black_box;
use std::time::Instant;

/// More than the caches of the machines that this runs on.
const BYTES: usize = 256 << 20;

/// Bytes per second that all threads of a pool read together: the best of a few runs.
pub(super) fn read_speed(pool: &Pool) -> f64 {
    // Not zeros, whose pages would be one page.
    let data = vec![1u64; BYTES / size_of::<u64>()];
    let share = data.len().div_ceil(pool.n_threads());
    let read = |thread: usize| {
        let part = data.chunks(share).nth(thread).unwrap_or(&[]);
        black_box(part.iter().fold(0, |sum: u64, x| sum.wrapping_add(*x)));
    };
    let seconds = |_| {
        let start = Instant::now();
        pool.run(&read);
        start.elapsed().as_secs_f64()
    };
    BYTES as f64 / (0..4).map(seconds).fold(f64::INFINITY, f64::min)
}

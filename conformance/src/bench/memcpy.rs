//! Copying memory: the most that any decoder of as many output bytes can hope for.

use super::{Bench, CACHED, STREAMED, Work};
use harness::Failure;

/// The name of the baseline for outputs of the size called `size`.
pub(super) fn baseline(size: &str) -> String {
    format!("bench::memcpy::{size}")
}

pub(super) fn benches() -> Vec<Bench> {
    [CACHED, STREAMED]
        .into_iter()
        .map(|(bytes, size)| Bench {
            name: baseline(size),
            verb: "copy",
            bytes,
            operations_per_byte: 0.0,
            baseline: None,
            needs: None,
            setup: Box::new(|bytes| Ok(Box::new(Copy::new(bytes)))),
        })
        .collect()
}

struct Copy {
    from: Vec<u8>,
    to: Vec<u8>,
}

impl Copy {
    fn new(bytes: usize) -> Self {
        // Both buffers are written here, so that no page fault falls into the measured time.
        let from = (0..bytes).map(|index| (index % 251) as u8).collect();
        let to = vec![0xff; bytes];
        Copy { from, to }
    }
}

impl Work for Copy {
    fn run(&mut self) {
        self.to.copy_from_slice(std::hint::black_box(&self.from));
        std::hint::black_box(&mut self.to);
    }

    fn check(&self) -> Result<(), Failure> {
        match self.to == self.from {
            true => Ok(()),
            false => Err("the copy differs from its source".into()),
        }
    }
}

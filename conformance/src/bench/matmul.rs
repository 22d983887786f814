//! Products of matrices with one row of activations (a token: the speed of reading blocks) and
//! with many (a prompt: the speed of multiplying), in both precisions, on all threads.

use super::{Bench, Work};
use engine::backend::cpu::level::Level;
use engine::backend::cpu::matmul::{Matrices, Misfit, Precision, matmul};
use engine::backend::cpu::pool::Pool;
use engine::quant::{FORMATS, Format, Stored};
use half::f16;
use harness::Failure;

/// Columns; a whole number of blocks of every format.
const COLS: usize = 3072;
/// A token reads more than any cache holds.
const TOKEN: (usize, usize) = (1, 64 << 20);
/// A prompt reads a matrix that stays near.
const PROMPT: (usize, usize) = (256, 4 << 20);

pub(super) fn benches() -> Vec<Bench> {
    let mut benches = Vec::new();
    for format in FORMATS.iter().filter(|format| format.scalar.is_some()) {
        for precision in [Precision::Exact, Precision::Fast] {
            for (n, bytes) in [TOKEN, PROMPT] {
                let word = format!("{precision:?}").to_lowercase();
                benches.push(Bench {
                    name: format!("bench::cpu::matmul::{}::{word}-{COLS}x{n}", format.name),
                    verb: "multiply",
                    bytes,
                    operations_per_byte: (2 * n * format.block_len) as f64
                        / format.block_bytes as f64,
                    baseline: None,
                    needs: None,
                    setup: Box::new(move |bytes| {
                        Ok(Box::new(Product::new(format, precision, n, bytes)))
                    }),
                });
            }
        }
    }
    benches
}

struct Product {
    format: &'static Format,
    precision: Precision,
    pool: Pool,
    n: usize,
    rows: usize,
    blocks: Vec<u8>,
    x: Vec<f32>,
    out: Vec<f32>,
}

/// A number that nobody can predict, the same in every run.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

impl Product {
    fn new(format: &'static Format, precision: Precision, n: usize, bytes: usize) -> Self {
        let row_bytes = COLS / format.block_len * format.block_bytes;
        // Most work has many more activation rows than a smoke run has time for.
        let rows = (bytes / row_bytes).max(1);
        let mut state = 0x9e37_79b9_7f4a_7c15;
        let mut blocks: Vec<u8> =
            (0..rows * row_bytes).map(|_| (next(&mut state) >> 32) as u8).collect();
        for block in blocks.chunks_exact_mut(format.block_bytes) {
            tame(format, block);
        }
        let x = (0..n * COLS).map(|_| (next(&mut state) >> 40) as f32 / 8e6 - 1.0).collect();
        let n_threads = std::thread::available_parallelism().map_or(1, |threads| threads.get());
        // Written now, so that no page fault falls into the measured time.
        let out = vec![f32::NAN; n * rows];
        Product { format, precision, pool: Pool::new(n_threads), n, rows, blocks, x, out }
    }

    fn times(&self, pool: &Pool, rows: usize, x: &[f32], out: &mut [f32]) -> Result<(), Misfit> {
        let blocks = &self.blocks[..self.blocks.len() / self.rows * rows];
        let matrix = Matrices::new(self.format, 1, rows, COLS, blocks)?;
        matmul(pool, self.precision, &matrix, x, out)
    }
}

/// Random scales hold NaN and infinities, which some machines add more slowly: ordinary ones.
fn tame(format: &Format, block: &mut [u8]) {
    for stored in format.floats {
        match *stored {
            Stored::F16(at) => {
                block[at..at + 2].copy_from_slice(&f16::from_f32(0.01).to_le_bytes())
            }
            Stored::Bf16(at) => block[at + 1] = 0x3C,
            Stored::F32(at) => block[at + 3] = 0x3C,
            Stored::E8m0(at) => block[at] = 120,
            Stored::Ue4m3(at) => block[at] = 0x30,
            Stored::F64(_) | Stored::F16InNibbles(_) => {}
        }
    }
}

impl Work for Product {
    fn is_shared(&self) -> bool {
        true
    }

    fn run(&mut self) {
        let mut out = std::mem::take(&mut self.out);
        let result = self.times(&self.pool, self.rows, std::hint::black_box(&self.x), &mut out);
        if result.is_err() {
            out.fill(f32::NAN);
        }
        self.out = std::hint::black_box(out);
    }

    /// The first matrix rows times the last activation row, without vector instructions.
    fn check(&self) -> Result<(), Failure> {
        let rows = self.rows.min(20);
        let x = &self.x[(self.n - 1) * COLS..];
        let mut want = vec![0.0; rows];
        self.times(&Pool::with_level(1, Level::Scalar), rows, x, &mut want)?;
        let found = &self.out[(self.n - 1) * self.rows..][..rows];
        match want.iter().zip(found).position(|(want, found)| want.to_bits() != found.to_bits()) {
            None => Ok(()),
            Some(at) => Err(format!(
                "{} output {at}: {:e} wanted, {:e} found",
                self.format.name, want[at], found[at]
            )
            .into()),
        }
    }
}

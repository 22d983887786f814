//! Decoding: blocks of one format to f32, in output bytes. A decoder can be no faster than a copy
//! of its output, so that copy is its baseline.

use super::{Bench, CACHED, STREAMED, Work, memcpy};
use engine::quant::{FORMATS, Format};
use harness::Failure;

pub(super) fn benches() -> Vec<Bench> {
    let mut benches = Vec::new();
    for format in FORMATS.iter().filter(|format| format.scalar.is_some()) {
        for (bytes, size) in [CACHED, STREAMED] {
            benches.push(Bench {
                name: format!("bench::quant::{}::{size}", format.name),
                verb: "decode",
                bytes,
                operations_per_byte: 0.0,
                baseline: Some(memcpy::baseline(size)),
                needs: None,
                setup: Box::new(move |bytes| Ok(Box::new(Decoding::new(format, bytes)?))),
            });
        }
    }
    benches
}

type Decode = fn(&[u8], &mut [f32]);

struct Decoding {
    format: &'static Format,
    decode: Decode,
    scalar: Decode,
    blocks: Vec<u8>,
    output: Vec<f32>,
}

impl Decoding {
    fn new(format: &'static Format, output_bytes: usize) -> Result<Self, Failure> {
        let (Some(decode), Some(scalar)) = (format.decode(), format.scalar) else {
            return Err(format!("{} has no decoder", format.name).into());
        };
        let n_blocks = output_bytes / size_of::<f32>() / format.block_len;
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let blocks = (0..n_blocks * format.block_bytes).map(|_| next_byte(&mut state)).collect();
        // Written now, so that no page fault falls into the measured time.
        let output = vec![f32::NAN; n_blocks * format.block_len];
        Ok(Decoding { format, decode, scalar, blocks, output })
    }
}

/// xorshift64: bytes that no decoder can predict, the same in every run.
fn next_byte(state: &mut u64) -> u8 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 32) as u8
}

/// Bit for bit; NaNs by class, because random scales hold some.
fn same(want: f32, found: f32) -> bool {
    want.to_bits() == found.to_bits() || want.is_nan() && found.is_nan()
}

impl Work for Decoding {
    fn run(&mut self) {
        (self.decode)(std::hint::black_box(&self.blocks), &mut self.output);
        std::hint::black_box(&mut self.output);
    }

    /// About a thousand blocks, evenly spread, against the decoder that is written to be read.
    fn check(&self) -> Result<(), Failure> {
        let (len, bytes) = (self.format.block_len, self.format.block_bytes);
        let n_blocks = self.output.len() / len;
        let mut want = vec![0.0f32; len];
        for block in (0..n_blocks).step_by((n_blocks / 1000).max(1)).chain([n_blocks - 1]) {
            (self.scalar)(&self.blocks[block * bytes..][..bytes], &mut want);
            let found = &self.output[block * len..][..len];
            if let Some(at) = (0..len).find(|&at| !same(want[at], found[at])) {
                return Err(format!(
                    "{} block {block} element {at}: {:08x} wanted, {:08x} found",
                    self.format.name,
                    want[at].to_bits(),
                    found[at].to_bits()
                )
                .into());
            }
        }
        Ok(())
    }
}

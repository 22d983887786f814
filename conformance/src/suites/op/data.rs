//! Inputs from a seed, and files that hold them as weights. Knows no verb.

use engine::backend::Backend;
use engine::error::Result as EngineResult;
use engine::loader::Gguf;
use engine::loader::gguf::Writer;
use engine::quant::{Format, Stored};
use half::{bf16, f16};
use harness::Failure;
use std::sync::Arc;

/// A sequence of numbers that follows from a name.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn of(name: &str) -> Random {
        // FNV-1a: any mixing of the letters would do.
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        Random(name.bytes().fold(0xcbf2_9ce4_8422_2325, mix))
    }

    /// Any 64 bits (SplitMix64).
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }

    /// Between -1 and 1.
    pub(crate) fn number(&mut self) -> f32 {
        ((self.bits() >> 40) as f32 / (1 << 23) as f32) - 1.0
    }

    /// `n` numbers between `-size` and `size`.
    pub(crate) fn numbers(&mut self, n: usize, size: f32) -> Vec<f32> {
        (0..n).map(|_| size * self.number()).collect()
    }

    /// `n` elements of a format: any codes, under scales that are ordinary numbers.
    pub(crate) fn blocks(&mut self, format: &Format, n: usize) -> Vec<u8> {
        let count = n / format.block_len;
        let mut bytes: Vec<u8> =
            (0..count * format.block_bytes).map(|_| self.bits() as u8).collect();
        for block in bytes.chunks_exact_mut(format.block_bytes) {
            for stored in format.floats {
                self.put(block, *stored);
            }
        }
        bytes
    }

    fn put(&mut self, block: &mut [u8], stored: Stored) {
        let x = self.number();
        match stored {
            Stored::F16(at) => block[at..at + 2].copy_from_slice(&f16::from_f32(x).to_le_bytes()),
            Stored::Bf16(at) => block[at..at + 2].copy_from_slice(&bf16::from_f32(x).to_le_bytes()),
            Stored::F32(at) => block[at..at + 4].copy_from_slice(&x.to_le_bytes()),
            Stored::E8m0(at) => block[at] = 120 + self.below(10) as u8,
            Stored::Ue4m3(at) => block[at] = 0x20 + self.below(0x20) as u8,
            // No format that is decoded stores these.
            Stored::F64(_) | Stored::F16InNibbles(_) => {}
        }
    }
}

/// A file in a folder of its own, which lives as long as it.
pub(crate) struct File {
    gguf: Arc<Gguf>,
    _folder: tempfile::TempDir,
}

/// A tensor: format, GGUF shape (a row first), bytes.
pub(crate) type Tensor<'a> = (&'static Format, Vec<u64>, &'a [u8]);

impl File {
    pub(crate) fn of(tensors: &[Tensor]) -> Result<File, Failure> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("weights.gguf");
        let mut writer = Writer::new();
        writer.set("general.architecture", "none");
        for (index, (format, shape, bytes)) in tensors.iter().enumerate() {
            writer.tensor(&format!("tensor.{index}"), format, shape, bytes.to_vec());
        }
        writer.write(&path)?;
        Ok(File { gguf: Arc::new(Gguf::open(&path)?), _folder: folder })
    }

    /// The tensor that was given as number `index`, taken in by a backend.
    pub(crate) fn weight<B: Backend>(
        &self,
        backend: &mut B,
        index: usize,
        role: engine::adapters::Role,
    ) -> EngineResult<B::Weight> {
        backend.upload(&self.gguf, index, role)
    }
}

/// Numbers as an F32 vector, taken in by a backend.
pub(crate) fn vector<B: Backend>(backend: &mut B, values: &[f32]) -> Result<B::Weight, Failure> {
    let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    let f32_format = &engine::quant::FORMATS[0];
    let file = File::of(&[(f32_format, vec![values.len() as u64], &bytes)])?;
    Ok(file.weight(backend, 0, engine::adapters::Role::Vector)?)
}

/// What a format's bytes stand for, by the suite's own formula.
pub(crate) fn values(format: &Format, bytes: &[u8]) -> Result<Vec<f64>, Failure> {
    let mut values = Vec::with_capacity(bytes.len() / format.block_bytes * format.block_len);
    for block in bytes.chunks_exact(format.block_bytes) {
        for i in 0..format.block_len {
            let value = crate::reference::formats::value(format.name, block, i);
            values.push(value.ok_or_else(|| format!("no formula for {}", format.name))?);
        }
    }
    Ok(values)
}

/// The formats that can be decoded.
pub(crate) fn formats() -> impl Iterator<Item = &'static Format> {
    engine::quant::FORMATS.iter().filter(|format| format.scalar.is_some())
}

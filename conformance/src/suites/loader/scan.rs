//! The scan of tensor data: every place where a format keeps a float, every kind of non-number.

use super::{Scratch, equal, format, inspect_file, numbers, refused};
use engine::cli::ReadArgs;
use engine::error::Class;
use engine::loader::gguf::Writer;
use engine::loader::{Gguf, check};
use harness::{Case, Failure, Run};
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Format, block, byte within the block, bits to put there, and what the refusal must say.
type Poison = (&'static str, usize, usize, &'static [u8], &'static str);

const POISONS: &[Poison] = &[
    ("F32", 5, 0, &[0, 0, 0xc0, 0x7f], "0x7fc00000"),
    ("F32", 0, 0, &[0, 0, 0x80, 0xff], "0xff800000"),
    ("F16", 7, 0, &[0x01, 0x7c], "0x7c01"),
    ("BF16", 7, 0, &[0x80, 0xff], "0xff80"),
    ("F64", 3, 0, &[0, 0, 0, 0, 0, 0, 0xf0, 0x7f], "0x7ff0000000000000"),
    ("Q4_0", 2, 0, &[0x00, 0x7e], "0x7e00"),
    ("Q4_1", 2, 0, &[0x00, 0x7e], "0x7e00"),
    ("Q4_1", 2, 2, &[0x00, 0x7c], "0x7c00"),
    ("Q5_0", 1, 0, &[0x00, 0xfc], "0xfc00"),
    ("Q5_1", 1, 2, &[0x00, 0xfe], "0xfe00"),
    ("Q8_0", 9, 0, &[0x00, 0x7e], "0x7e00"),
    ("Q2_K", 1, 80, &[0x00, 0x7e], "0x7e00"),
    ("Q2_K", 1, 82, &[0x00, 0x7e], "0x7e00"),
    ("Q3_K", 1, 108, &[0x00, 0x7e], "0x7e00"),
    ("Q4_K", 1, 0, &[0x00, 0x7e], "0x7e00"),
    ("Q4_K", 1, 2, &[0x00, 0x7c], "0x7c00"),
    ("Q5_K", 1, 0, &[0x00, 0x7e], "0x7e00"),
    ("Q5_K", 1, 2, &[0x00, 0x7e], "0x7e00"),
    ("Q6_K", 1, 208, &[0x00, 0x7e], "0x7e00"),
    ("Q8_K", 1, 0, &[0, 0, 0xc0, 0x7f], "0x7fc00000"),
    ("IQ2_XXS", 1, 0, &[0x00, 0x7e], "0x7e00"),
    ("IQ2_XS", 1, 0, &[0x00, 0x7e], "0x7e00"),
    ("IQ2_S", 1, 0, &[0x00, 0x7e], "0x7e00"),
    ("IQ3_XXS", 1, 0, &[0x00, 0x7e], "0x7e00"),
    ("IQ3_S", 1, 0, &[0x00, 0x7e], "0x7e00"),
    ("IQ1_S", 1, 0, &[0x00, 0x7e], "0x7e00"),
    // Four words whose top nibbles, low nibble first, are 0x7e00.
    ("IQ1_M", 1, 48, &[0, 0, 0, 0, 0, 0xe0, 0, 0x70], "0x7e00"),
    ("IQ4_NL", 3, 0, &[0x00, 0x7e], "0x7e00"),
    ("IQ4_XS", 1, 0, &[0x00, 0x7e], "0x7e00"),
    ("TQ1_0", 1, 52, &[0x00, 0x7e], "0x7e00"),
    ("TQ2_0", 1, 64, &[0x00, 0x7e], "0x7e00"),
    ("MXFP4", 4, 0, &[0xff], "0xff"),
    ("Q1_0", 4, 0, &[0x00, 0x7e], "0x7e00"),
    ("Q2_0", 4, 0, &[0x00, 0x7e], "0x7e00"),
    ("NVFP4", 2, 3, &[0x7f], "0x7f"),
];

/// Formats that cannot hold anything but numbers.
const INTEGERS: [&str; 4] = ["I8", "I16", "I32", "I64"];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new("loader::scan::every-format-has-a-poison", every_format),
        Case::new("loader::scan::first-defect-whatever-the-threads", first_defect),
        Case::new("loader::scan::behind-clean-pages", behind_clean_pages),
        Case::new("loader::scan::load-refuses-by-default", load_refuses),
        Case::new("loader::scan::throughput", throughput),
    ];
    cases.extend(POISONS.iter().map(|poison| {
        let (name, _, byte, ..) = poison;
        let name = name.to_lowercase().replace('_', "-");
        let bits = poison.4;
        Case::new(format!("loader::scan::{name}-{byte}-{bits}"), move |_| finds(poison))
    }));
    cases
}

/// The scan skips clean pages of plain numbers; what follows them is found at its own place.
fn behind_clean_pages(_: &mut Run) -> Result<(), Failure> {
    for (name, infinity) in
        [("F16", 0x7c00), ("BF16", 0x7f80), ("F32", 0x7f80_0000u64), ("F64", 0x7ff << 52)]
    {
        let format = format(name)?;
        let bytes = format.block_bytes;
        for element in [4096 / bytes - 1, 4096 / bytes, 9999, 10_000] {
            let mut data = vec![0x11; 10_001 * bytes];
            equal("clean", format.check(&data), Ok(()))?;
            data[element * bytes..][..bytes].copy_from_slice(&infinity.to_le_bytes()[..bytes]);
            match format.check(&data) {
                Err(found) => equal(name, (found.block, found.bits), (element, infinity))?,
                Ok(()) => return Err(format!("{name}: element {element} not found").into()),
            }
        }
    }
    Ok(())
}

/// Ten blocks of zeros after another tensor, so that the offset in the file matters.
fn finds((name, block, byte, bits, said): &Poison) -> Result<(), Failure> {
    let format = format(name)?;
    let scratch = Scratch::new()?;
    let write = |data: Vec<u8>| -> Result<PathBuf, Failure> {
        let path = scratch.path("poison.gguf");
        let mut writer = Writer::new();
        writer.tensor("before", super::format("F32")?, &[3], numbers(3));
        writer.tensor("poisoned", format, &[format.block_len as u64 * 10], data);
        writer.write(&path)?;
        Ok(path)
    };
    let mut data = vec![0; format.block_bytes * 10];
    let healthy = Gguf::open(&write(data.clone())?)?;
    equal("tensors scanned", check::gguf(&healthy, None)?.tensors, 2)?;
    let at = block * format.block_bytes + byte;
    data[at..at + bits.len()].copy_from_slice(bits);
    let file = Gguf::open(&write(data)?)?;
    let position = file.tensors()[1].file_range().start + at as u64;
    let place = format!("block {block} of {name}");
    let words = ["tensor \"poisoned\"", &place, said, &format!("byte {position} of")];
    refused(check::gguf(&file, None), Class::NonFinite, &words)
}

/// A format that is added without a poison here is a format nobody scans.
fn every_format(_: &mut Run) -> Result<(), Failure> {
    for format in engine::quant::FORMATS {
        let poisoned = POISONS.iter().any(|(name, ..)| *name == format.name);
        // Q8_1 blocks exist only while ggml multiplies, never in a file that is run.
        let excused = INTEGERS.contains(&format.name) || format.name == "Q8_1";
        if poisoned == excused {
            return Err(format!("{}: no poison, or an excuse too many", format.name).into());
        }
    }
    Ok(())
}

fn first_defect(_: &mut Run) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    let path = scratch.path("many.gguf");
    let f16s = format("F16")?;
    let mut writer = Writer::new();
    for (tensor, poisoned) in [(0, None), (1, Some(3_000_001)), (2, Some(0)), (3, Some(7))] {
        let mut data = vec![0u8; 8 << 20];
        if let Some(element) = poisoned {
            data[element * 2..element * 2 + 2].copy_from_slice(&[0, 0x7e]);
            data[element * 2 + 2..element * 2 + 4].copy_from_slice(&[0, 0x7c]);
        }
        writer.tensor(&format!("t{tensor}"), f16s, &[4 << 20], data);
    }
    writer.write(&path)?;
    let file = Gguf::open(&path)?;
    for threads in [1, 2, 3, 8, 64] {
        let words = ["tensor \"t1\"", "block 3000001 ", "0x7e00"];
        let found = check::gguf(&file, NonZeroUsize::new(threads));
        refused(found, Class::NonFinite, &words)?;
    }
    Ok(())
}

fn load_refuses(_: &mut Run) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    let path = scratch.path("nan.gguf");
    let mut writer = Writer::new();
    writer.tensor("norm", format("F32")?, &[1], f32::NAN.to_le_bytes());
    writer.write(&path)?;
    let load = |no_check| ReadArgs { no_check, threads: None }.open(Some(&path));
    refused(load(false), Class::NonFinite, &["tensor \"norm\""])?;
    equal("tensors without the check", load(true)?.tensors().len(), 1)?;
    let (code, _, err) = inspect_file(&path, &["--check"]);
    equal("exit code", code, 3)?;
    super::says(err.trim_end(), &["NonFinite", "tensor \"norm\"", "block 0"])?;
    equal("exit code without --check", inspect_file(&path, &[]).0, 0)
}

/// A figure, not a gate: how fast a machine reads is its own business.
fn throughput(run: &mut Run) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    for name in ["F32", "BF16", "MXFP4", "Q8_0", "Q4_K"] {
        let format = format(name)?;
        let path = scratch.path("speed.gguf");
        let blocks = (32 << 20) / format.block_bytes;
        let mut writer = Writer::new();
        let elements = (blocks * format.block_len) as u64;
        writer.tensor("t", format, &[elements], vec![1; blocks * format.block_bytes]);
        writer.write(&path)?;
        let file = Gguf::open(&path)?;
        let mut fastest = f64::INFINITY;
        for _ in 0..3 {
            let begin = std::time::Instant::now();
            let scanned = check::gguf(&file, NonZeroUsize::new(1))?;
            fastest = fastest.min(begin.elapsed().as_secs_f64() / scanned.bytes as f64);
        }
        run.figure(&format!("{name}, one thread"), 1e-9 / fastest, "GB/s");
    }
    Ok(())
}

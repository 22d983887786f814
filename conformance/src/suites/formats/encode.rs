//! Encoders beyond single vectors: what every one refuses, what none ever writes, and how ggml's
//! logarithm chooses an MXFP4 scale. Golden equality stands with the recordings.

use super::Random;
use engine::quant::encode::{Rule, Unencodable};
use engine::quant::{self, FORMATS, Format};
use harness::{Case, Failure, Run};

pub(super) fn cases() -> Vec<Case> {
    let blocks = || FORMATS.iter().filter(|f| f.encode.is_some() && f.block_len > 1);
    let refuse = blocks().map(|format| {
        Case::new(format!("formats::{}::encode::refuses-what-is-no-number", format.name), |_| {
            refuses(format)
        })
        .requirements(["N10"])
    });
    let clean = blocks().map(|format| {
        Case::new(format!("formats::{}::encode::writes-only-numbers", format.name), |run| {
            writes_only_numbers(format, run)
        })
        .requirements(["N09", "N15"])
    });
    let scale =
        Case::new("formats::mxfp4::encode::scale-byte", mxfp4_scale_byte).requirements(["C07"]);
    refuse.chain(clean).chain([scale]).collect()
}

/// Every kind of non-number at every place of a block, by name of its element.
fn refuses(format: &Format) -> Result<(), Failure> {
    let encode = format.encode.ok_or("not encoded")?;
    let mut bytes = vec![0; 2 * format.block_bytes];
    for bits in [0x7F80_0000u32, 0xFF80_0000, 0x7FC0_0000, 0x7F80_0001, 0xFFFF_FFFF] {
        for at in 0..2 * format.block_len {
            let mut values = vec![1.0; 2 * format.block_len];
            values[at] = f32::from_bits(bits);
            match encode(&values, &mut bytes, Rule::Ocp) {
                Err(Unencodable::NonFinite { element, .. }) if element == at => {}
                other => return Err(format!("0x{bits:08x} at {at}: {other:?}").into()),
            }
        }
    }
    Ok(())
}

/// Rows of every magnitude from subnormal to the largest: an encoder refuses or writes blocks
/// that pass the scan, and it refuses only where a scale cannot hold the values.
fn writes_only_numbers(format: &Format, run: &mut Run) -> Result<(), Failure> {
    let encode = format.encode.ok_or("not encoded")?;
    let mut random = Random(15);
    let (mut refused, mut bytes) = (0, vec![0; format.block_bytes]);
    // Where values first do not fit: at 2^16 if the smallest is stored as it is, else not below
    // 65504·8, which is the least that any other of these formats reaches.
    let least = 127 + if matches!(format.name, "Q4_1" | "Q5_1") { 16 } else { 18 };
    for exponent in 0..255u32 {
        for rule in [Rule::Ocp, Rule::LlamaCpp] {
            let value = |bits: u64| {
                // Some elements far smaller, all signs, one exponent in common.
                let lower = exponent.saturating_sub((bits >> 40 & 7) as u32 * 3);
                f32::from_bits((bits as u32 & 0x807F_FFFF) | lower << 23)
            };
            let values: Vec<f32> = (0..format.block_len).map(|_| value(random.next())).collect();
            match encode(&values, &mut bytes, rule) {
                Ok(_) => format.check(&bytes).map_err(|d| format!("exponent {exponent}: {d}"))?,
                Err(Unencodable::ScaleOverflow { .. }) if exponent >= least => refused += 1,
                Err(other) => return Err(format!("exponent {exponent}: {other}").into()),
            }
        }
    }
    run.figure("refused", f64::from(refused), "");
    let never = format.name == "MXFP4";
    ((refused == 0) == never).then_some(()).ok_or_else(|| format!("{refused} refused").into())
}

/// Just below every power of two: the exact exponent by one rule; by the other the floor of the
/// C library's f32 logarithm, which is what ggml calls.
fn mxfp4_scale_byte(run: &mut Run) -> Result<(), Failure> {
    let format = quant::by_name("MXFP4").ok_or("no MXFP4")?;
    let encode = format.encode.ok_or("not encoded")?;
    let mut apart = 0;
    for power in 1..255u32 {
        for below in 0..100u32 {
            let amax = f32::from_bits((power << 23) - below);
            let mut values = vec![0.0; 32];
            values[9] = -amax;
            let exact = (((power << 23) - below) >> 23) as i32;
            let rounded = amax.log2().floor() as i32 + 127;
            for (rule, exponent) in [(Rule::Ocp, exact), (Rule::LlamaCpp, rounded)] {
                let mut bytes = [0; 17];
                encode(&values, &mut bytes, rule)?;
                let want = (exponent - 2).max(0);
                if i32::from(bytes[0]) != want {
                    let got = bytes[0];
                    return Err(format!("{rule:?} of {amax:e}: scale {got}, must be {want}").into());
                }
            }
            apart += u32::from(exact != rounded);
        }
    }
    run.figure("values-where-the-rules-differ", f64::from(apart), "");
    if apart > 1000 {
        Ok(())
    } else {
        Err(format!("only {apart} values tell the rules apart").into())
    }
}

//! Every input there is, where that is possible; else every value of every byte in turn.

use super::judged::formula;
use super::{Random, same};
use crate::property::deep;
use crate::reference::{formats, minifloat};
use engine::quant::encode::Rule;
use engine::quant::{self, FORMATS, Format};
use harness::compare::arrays;
use harness::{Case, Failure, Run};

pub(super) fn cases() -> Vec<Case> {
    let decoded = FORMATS.iter().filter(|format| format.decode().is_some());
    let every_byte = decoded.map(|format| {
        Case::new(format!("formats::{}::exhaustive::every-byte", format.name), |run| {
            every_byte(format, run)
        })
        .requirements(["N23"])
    });
    let mut cases: Vec<Case> = every_byte.collect();
    for name in ["Q4_K", "Q5_K"] {
        let case = format!("formats::{name}::exhaustive::scales");
        cases.push(Case::new(case, |_| six_bit_scales(name)).requirements(["N21"]));
    }
    cases.extend([
        Case::new("formats::mxfp4::exhaustive::f32", mxfp4_f32).requirements(["C06", "N23"]),
        Case::new("formats::mxfp4::exhaustive::f16", mxfp4_f16).requirements(["C06", "N06"]),
        Case::new("formats::mxfp4::exhaustive::bf16", mxfp4_bf16).requirements(["C06", "N06"]),
        Case::new("formats::Q8_0::exhaustive::scales", q8_0).requirements(["N17", "N23"]),
        Case::new("formats::F16::exhaustive::widen", |_| widen("F16", 5)).requirements(["N23"]),
        Case::new("formats::BF16::exhaustive::widen", |_| widen("BF16", 8)).requirements(["N23"]),
        Case::new("formats::F16::exhaustive::narrow", |run| narrow("F16", 5, run))
            .requirements(["N23", "N24"]),
        Case::new("formats::BF16::exhaustive::narrow", |run| narrow("BF16", 8, run))
            .requirements(["N23", "N25"]),
    ]);
    cases
}

fn known(name: &str) -> Result<&'static Format, Failure> {
    Ok(quant::by_name(name).ok_or_else(|| format!("the engine does not know {name}"))?)
}

fn decode(format: &Format, bytes: &[u8]) -> Result<Vec<f32>, Failure> {
    let decode = format.decode().ok_or_else(|| format!("{} is not decoded", format.name))?;
    let mut values =
        vec![f32::from_bits(0x5555_5555); bytes.len() / format.block_bytes * format.block_len];
    decode(bytes, &mut values);
    Ok(values)
}

/// Each byte of a block takes all values in turn on random backgrounds, once with any bits and
/// once with ordinary scales, and all elements are compared.
fn every_byte(format: &'static Format, run: &mut Run) -> Result<(), Failure> {
    let formula = formula(format)?;
    let mut random = Random(u64::from(format.id));
    let mut compared = 0;
    for background in 0..2 {
        let mut block = random.bytes(format.block_bytes);
        if background == 1 {
            ordinary_floats(format, &mut block);
        }
        for at in 0..block.len() {
            let mut blocks: Vec<u8> = block.repeat(256);
            for value in 0..=255u8 {
                blocks[usize::from(value) * format.block_bytes + at] = value;
            }
            let values = decode(format, &blocks)?;
            compared +=
                compare(format, &blocks, &values, |block, i| formula(format.name, block, i))?;
        }
    }
    run.figure("elements", compared as f64, "");
    Ok(())
}

/// Gives every stored f16 an exponent near 1, so that products are ordinary numbers.
fn ordinary_floats(format: &Format, block: &mut [u8]) {
    for float in format.floats {
        if let quant::Stored::F16(at) = float {
            block[at + 1] = block[at + 1] & 0x83 | 0x38;
        }
    }
}

fn compare(
    format: &Format,
    blocks: &[u8],
    values: &[f32],
    want: impl Fn(&[u8], usize) -> Option<f64>,
) -> Result<usize, Failure> {
    let rows = blocks.chunks(format.block_bytes).zip(values.chunks(format.block_len));
    for (block, values) in rows {
        for (i, value) in values.iter().enumerate() {
            let found = want(block, i).ok_or("no formula")? as f32;
            if !same(*value, found) {
                let wants = (0..values.len()).map(|i| want(block, i).unwrap_or(f64::NAN) as f32);
                let compared = arrays(format.name, values, &wants.collect::<Vec<_>>())
                    .provenance("the formula in conformance/src/reference")
                    .non_finite("a scale of this block is not finite")
                    .exactly();
                let report = compared.err().map_or("differs".into(), |e| e.text().to_owned());
                return Err(format!("{report}\n  block     {block:02x?}").into());
            }
        }
    }
    Ok(values.len())
}

/// All 2^12 states of the twelve bits that hold one sub-block's scale and minimum, for each
/// sub-block, the other scales and the codes being random.
fn six_bit_scales(name: &str) -> Result<(), Failure> {
    let format = known(name)?;
    let formula = formula(format)?;
    let mut random = Random(12);
    for sub in 0..8 {
        let mut block = random.bytes(format.block_bytes);
        block[..4].copy_from_slice(&[0x00, 0x3C, 0x00, 0x3C]);
        for state in 0..4096u16 {
            let (low, top) = ((state & 255) as u8, (state >> 8) as u8);
            let scales = &mut block[4..16];
            if sub < 4 {
                scales[sub] = scales[sub] & 0xC0 | low & 63;
                scales[sub + 4] = scales[sub + 4] & 0xC0 | (state >> 6) as u8;
            } else {
                scales[sub + 4] = low;
                scales[sub - 4] = scales[sub - 4] & 63 | top << 6;
                scales[sub] = scales[sub] & 63 | top >> 2 << 6;
            }
            let values = decode(format, &block)?;
            compare(format, &block, &values, |block, i| formula(name, block, i))?;
        }
    }
    Ok(())
}

/// Calls `check(scale, code, value)` for all 256 scales and 16 codes, each code in both halves
/// of a byte.
fn each_mxfp4(mut check: impl FnMut(u8, u8, f32) -> Result<(), Failure>) -> Result<(), Failure> {
    let format = known("MXFP4")?;
    formula(format)?;
    let pairs: Vec<u8> = (0..16).map(|code| code | (15 - code) << 4).collect();
    for scale in 0..=255u8 {
        let block = [&[scale], pairs.as_slice()].concat();
        let values = decode(format, &block)?;
        for code in 0..16u8 {
            check(scale, code, values[usize::from(code)])?;
            check(scale, code, values[16 + usize::from(15 - code)])?;
        }
    }
    Ok(())
}

fn mxfp4_f32(run: &mut Run) -> Result<(), Failure> {
    let (mut subnormal, mut infinite, mut nan) = (0, 0, 0);
    each_mxfp4(|scale, code, value| {
        let exact = formats::mxfp4(scale.into(), code.into());
        let want = exact as f32;
        subnormal += u32::from(value.is_subnormal());
        infinite += u32::from(value.is_infinite());
        nan += u32::from(value.is_nan());
        // Exact, not merely nearest, wherever f32 has the range.
        let exact = !want.is_finite() || f64::from(value) == exact;
        (exact && same(value, want)).then_some(()).ok_or_else(|| {
            format!("scale {scale:#04x} code {code}: {value:e}, must be {want:e}").into()
        })
    })?;
    run.figure("subnormal", f64::from(subnormal / 2), "");
    run.figure("infinite", f64::from(infinite / 2), "");
    run.figure("nan", f64::from(nan / 2), "");
    // Counted by hand: magnitude 0.5 under scales 0 and 1, 1 and 1.5 under scale 0; magnitudes
    // 4 and 6 under 253, 2 to 6 under 254; each with two signs. All sixteen codes under 255.
    match (subnormal / 2, infinite / 2, nan / 2) {
        (8, 12, 16) => Ok(()),
        counts => Err(format!("subnormal, infinite, NaN: {counts:?}, not (8, 12, 16)").into()),
    }
}

/// Narrows one number with the engine's encoder.
fn narrowed(name: &str, value: f32) -> Result<u16, Failure> {
    let encode = known(name)?.encode.ok_or_else(|| format!("{name} is not encoded"))?;
    let mut bytes = [0; 2];
    encode(&[value], &mut bytes, Rule::Ocp)?;
    Ok(u16::from_le_bytes(bytes))
}

fn right(got: u16, want: Option<u16>, e: u32) -> bool {
    let magnitude = got & 0x7FFF;
    want.map_or(magnitude > ((1 << e) - 1) << (15 - e), |want| got == want)
}

fn mxfp4_f16(run: &mut Run) -> Result<(), Failure> {
    let mut first_overflow = None;
    let mut infinite = 0u32;
    each_mxfp4(|scale, code, value| {
        let got = narrowed("F16", value)?;
        if got & 0x7FFF == 0x7C00 {
            first_overflow.get_or_insert((scale, code));
            infinite += 1;
        }
        let want =
            minifloat::narrowed((formats::mxfp4(scale.into(), code.into()) as f32).to_bits(), 5);
        right(got, want, 5).then_some(()).ok_or_else(|| {
            format!("scale {scale:#04x} code {code}: f16 {got:#06x}, must be {want:04x?}").into()
        })
    })?;
    let (scale, code) = first_overflow.ok_or("nothing overflowed f16")?;
    run.figure("first-f16-overflow-scale", f64::from(scale), "");
    run.figure("infinite-in-f16", f64::from(infinite / 2), "");
    // 4·2^14 = 65536 is the first product beyond f16: code 6 under scale 0x7F + 14.
    match (scale, code) {
        (0x8D, 6) => Ok(()),
        _ => {
            Err(format!("f16 overflows first at scale {scale:#x} code {code}, not 0x8d, 6").into())
        }
    }
}

fn mxfp4_bf16(_: &mut Run) -> Result<(), Failure> {
    each_mxfp4(|scale, code, value| {
        let got = narrowed("BF16", value)?;
        let want =
            minifloat::narrowed((formats::mxfp4(scale.into(), code.into()) as f32).to_bits(), 8);
        // bf16 has f32's exponents and more mantissa than E2M1: nothing is lost.
        let widened = f32::from_bits(u32::from(got) << 16);
        (right(got, want, 8) && same(widened, value)).then_some(()).ok_or_else(|| {
            format!("scale {scale:#04x} code {code}: bf16 {got:#06x}, must be {want:04x?}").into()
        })
    })
}

/// All 65,536 scales with all 256 codes: 16.8 million products.
fn q8_0(run: &mut Run) -> Result<(), Failure> {
    let format = known("Q8_0")?;
    formula(format)?;
    let codes: Vec<u8> = (0..=255).collect();
    for bits in 0..=u16::MAX {
        let d = minifloat::f16(bits);
        let block = |codes: &[u8]| [&bits.to_le_bytes(), codes].concat();
        let blocks: Vec<u8> = codes.chunks(32).flat_map(block).collect();
        for (code, value) in decode(format, &blocks)?.into_iter().enumerate() {
            let want = (d * f64::from(code as u8 as i8)) as f32;
            if !same(value, want) {
                return Err(
                    format!("d {bits:#06x} code {code}: {value:e}, must be {want:e}").into()
                );
            }
        }
    }
    run.figure("products", f64::from(1 << 24), "");
    Ok(())
}

fn widen(name: &str, e: u32) -> Result<(), Failure> {
    let format = known(name)?;
    formula(format)?;
    for bits in 0..=u16::MAX {
        let value = decode(format, &bits.to_le_bytes())?[0];
        let want = minifloat::value(bits.into(), e, 15 - e, minifloat::Top::Ieee) as f32;
        if !same(value, want) {
            return Err(format!("{name} {bits:#06x}: {value:e}, must be {want:e}").into());
        }
    }
    Ok(())
}

/// Every border between two results, the f32 numbers on both sides of it, every result itself,
/// and 2^16 random bit patterns; in a deep run every f32 there is.
fn narrow(name: &str, e: u32, run: &mut Run) -> Result<(), Failure> {
    let encode = known(name)?.encode.ok_or_else(|| format!("{name} is not encoded"))?;
    let mut bytes = [0; 2];
    let mut count = 0u64;
    let mut check = |bits: u32| -> Result<(), Failure> {
        encode(&[f32::from_bits(bits)], &mut bytes, Rule::Ocp)?;
        let got = u16::from_le_bytes(bytes);
        let want = minifloat::narrowed(bits, e);
        count += 1;
        right(got, want, e).then_some(()).ok_or_else(|| {
            format!("{name} of 0x{bits:08x}: {got:#06x}, must be {want:04x?}").into()
        })
    };
    let value = |code: u16| minifloat::value(code.into(), e, 15 - e, minifloat::Top::Numbers);
    for code in 0..0x7FFFu16 {
        // The midpoint of two neighbours has one mantissa bit more: exact in f32. Where the top
        // exponent is read as numbers, this also finds the border to infinity.
        let here = (value(code) as f32).to_bits();
        let border = ((value(code) + value(code + 1)) / 2.0) as f32;
        for bits in [here, border.to_bits() - 1, border.to_bits(), border.to_bits() + 1] {
            check(bits)?;
            check(bits | 1 << 31)?;
        }
    }
    let mut random = Random(16);
    for _ in 0..1 << 16 {
        check(random.next() as u32)?;
    }
    if deep() {
        (0..=u32::MAX).try_for_each(check)?;
    }
    run.figure("numbers", count as f64, "");
    Ok(())
}

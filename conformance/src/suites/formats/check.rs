//! The scan for stored numbers that are not numbers, against what the blocks decode to.

use super::Random;
use engine::quant::{FORMATS, Format, Stored};
use harness::{Case, Failure, Run};

pub(super) fn cases() -> Vec<Case> {
    let holding = FORMATS.iter().filter(|format| !format.floats.is_empty());
    let named = holding.map(|format| {
        Case::new(format!("formats::check::{}::names-the-block", format.name), move |_| {
            names_the_block(format)
        })
    });
    let decoded = FORMATS.iter().filter(|format| format.scalar.is_some());
    let agrees = decoded.map(|format| {
        Case::new(format!("formats::check::{}::agrees-with-decode", format.name), move |run| {
            agrees_with_decode(format, run)
        })
    });
    let plain = Case::new("formats::check::integers-hold-no-floats", |_| {
        let lacking = FORMATS.iter().filter(|format| format.floats.is_empty());
        let names: Vec<&str> = lacking.map(|format| format.name).collect();
        match names.as_slice() {
            ["I8", "I16", "I32", "I64"] => Ok(()),
            other => Err(format!("formats without floats: {other:?}").into()),
        }
    });
    named.chain(agrees).chain([plain]).collect()
}

/// The smallest and a typical bit pattern that is not a number, little-endian, and where to put
/// its bytes.
fn poison(float: Stored) -> Vec<Vec<(usize, u8)>> {
    let at = |byte: usize, patterns: &[&[u8]]| {
        let place = |bytes: &&[u8]| bytes.iter().enumerate().map(|(i, b)| (byte + i, *b)).collect();
        patterns.iter().map(place).collect()
    };
    match float {
        Stored::F16(byte) => at(byte, &[&[0x00, 0x7C], &[0x01, 0xFC]]),
        Stored::Bf16(byte) => at(byte, &[&[0x80, 0x7F], &[0x81, 0xFF]]),
        Stored::F32(byte) => at(byte, &[&[0, 0, 0x80, 0x7F], &[1, 0, 0x80, 0xFF]]),
        Stored::F64(byte) => {
            at(byte, &[&[0, 0, 0, 0, 0, 0, 0xF0, 0x7F], &[1, 0, 0, 0, 0, 0, 0xF0, 0xFF]])
        }
        Stored::Ue4m3(byte) => at(byte, &[&[0x7F]]),
        Stored::F16InNibbles(byte) => {
            vec![
                vec![(byte + 5, 0xC0), (byte + 7, 0x70)],
                vec![(byte + 1, 0x10), (byte + 5, 0xC0), (byte + 7, 0xF0)],
            ]
        }
        Stored::E8m0(byte) => at(byte, &[&[0xFF]]),
    }
}

/// Five blocks of zeros pass; one bad number in the fourth is found there.
fn names_the_block(format: &Format) -> Result<(), Failure> {
    let zeros = vec![0; 5 * format.block_bytes];
    format.check(&zeros).map_err(|defect| format!("zeros: {defect}"))?;
    for float in format.floats {
        for bytes in poison(*float) {
            let mut data = zeros.clone();
            for (at, byte) in &bytes {
                data[3 * format.block_bytes + at] = *byte;
            }
            match format.check(&data) {
                Err(defect) if defect.block == 3 => {}
                other => return Err(format!("{float:?} {bytes:02x?}: {other:?}").into()),
            }
        }
    }
    Ok(())
}

/// Blocks of random bytes: the scan objects exactly to those that decode to a NaN or infinity.
/// Only MXFP4 can pass f32's largest out of legal numbers: scales 253 and 254 are to be let in.
fn agrees_with_decode(format: &Format, run: &mut Run) -> Result<(), Failure> {
    let decode = format.scalar.ok_or("not decoded")?;
    let mut random = Random(7);
    let mut refused = 0;
    for _ in 0..20_000 {
        let mut block = random.bytes(format.block_bytes);
        if random.next().is_multiple_of(2) {
            // Random bits rarely make a number that is not one; these do half the time.
            let poisons: Vec<_> = format.floats.iter().flat_map(|float| poison(*float)).collect();
            let chosen = &poisons[random.next() as usize % poisons.len()];
            for (at, byte) in chosen {
                block[*at] = *byte;
            }
        }
        let mut values = vec![0.0; format.block_len];
        decode(&block, &mut values);
        let legal = |x: &f32| x.is_finite() || format.name == "MXFP4" && x.is_infinite();
        let finite = values.iter().all(legal);
        let verdict = format.check(&block);
        refused += u32::from(verdict.is_err());
        if verdict.is_ok() != finite {
            return Err(format!("legal: {finite}, scan: {verdict:?}, block {block:02x?}").into());
        }
    }
    run.figure("refused", f64::from(refused), "");
    if (1000..19_000).contains(&refused) {
        Ok(())
    } else {
        Err(format!("{refused} refused: one-sided").into())
    }
}

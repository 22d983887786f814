//! The other OCP MX element formats and their scales, all codes under all scales. No recording
//! exists, so the formula must first agree with the published values in `vectors/formats/mx.toml`.

use super::{MxElement, same};
use crate::reference::{formats, minifloat};
use engine::quant::mx;
use harness::{Case, Failure, roots, vector};

pub(super) fn cases() -> Vec<Case> {
    mx::ELEMENTS
        .iter()
        .map(|element| {
            Case::new(format!("formats::mx::{}::exhaustive", element.name), move |run| {
                run.figure("published", published(element)? as f64, "");
                run.figure("products", every_code_and_scale(element)? as f64, "");
                Ok(())
            })
        })
        .collect()
}

/// The exact value of a code, by formula.
pub(crate) fn formula(name: &str, code: u8) -> Option<f64> {
    let code = u32::from(code);
    Some(match name {
        "E4M3" => minifloat::value(code, 4, 3, minifloat::Top::OneNan),
        "E5M2" => minifloat::value(code, 5, 2, minifloat::Top::Ieee),
        "E3M2" => minifloat::value(code, 3, 2, minifloat::Top::Numbers),
        "E2M3" => minifloat::value(code, 2, 3, minifloat::Top::Numbers),
        "E2M1" => formats::e2m1(code),
        "INT8" => f64::from(code as u8 as i8) / 64.0,
        "E8M0" => formats::e8m0(code),
        _ => return None,
    })
}

/// How many published values of this element (and of E8M0) the formula agrees with.
fn published(element: &mx::Element) -> Result<usize, Failure> {
    let path = roots::project().join("vectors/formats/mx.toml");
    let file = vector::parse::<MxElement>(&path, &std::fs::read_to_string(&path)?)?;
    let mut agreed = 0;
    for (head, case) in &file.cases {
        let own = case.element == element.name;
        if !own && case.element != "E8M0" {
            continue;
        }
        for (code, want) in case.pairs()? {
            let value = formula(&case.element, code).ok_or("no formula")?;
            if !same(value as f32, want) {
                return Err(format!("{}: formula {value:e}, published {want:e}", head.name).into());
            }
            agreed += usize::from(own);
        }
    }
    if agreed < 6 {
        return Err(format!("only {agreed} published values of {}", element.name).into());
    }
    Ok(agreed)
}

fn every_code_and_scale(element: &mx::Element) -> Result<usize, Failure> {
    let codes: Vec<u8> = (0..1u16 << element.bits()).map(|code| code as u8).collect();
    let mut values = vec![0.0; codes.len()];
    for scale in 0..=255u8 {
        element.decode(scale, &codes, &mut values);
        for (code, value) in codes.iter().zip(&values) {
            let exact =
                formula(element.name, *code).ok_or("no formula")? * formats::e8m0(scale.into());
            let want = exact as f32;
            let exact = !want.is_finite() || f64::from(*value) == exact;
            if !same(*value, want) || !exact {
                return Err(
                    format!("scale {scale} code {code:#04x}: {value:e}, must be {want:e}").into()
                );
            }
        }
    }
    Ok(256 * codes.len())
}

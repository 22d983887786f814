//! The comparer ignores nothing: one wrong bit anywhere is red, and what cannot be judged is not
//! judged green.

use harness::compare::{Element, arrays};
use harness::vector::Budget;
use harness::{Case, Failure};

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, body: fn() -> Result<(), Failure>| {
        Case::new(format!("selftest::compare::{name}"), move |_| body()).requirements(["C24"])
    };
    vec![
        case("every-bit-of-every-element", every_bit),
        case("every-element-breaks-every-bound", every_bound),
        case("worst-row-is-not-averaged-away", worst_row),
        case("negative-zero-differs", negative_zero),
        case("nan-want-undeclared", || red(arrays("x", &[f32::NAN], &[f32::NAN]).exactly(), "NaN")),
        case("infinite-want-undeclared", || {
            red(arrays("x", &[1.0], &[f64::INFINITY]).exactly(), "inf")
        }),
        case("nan-want-declared", || {
            let other_nan = f32::from_bits(0x7fc0_0001);
            arrays("x", &[other_nan], &[f32::NAN]).non_finite("scale 255 is NaN").exactly()?;
            red(arrays("x", &[0.0], &[f32::NAN]).non_finite("scale 255 is NaN").exactly(), "x: not")
        }),
        case("nan-in-place-of-a-number", nan_got),
        case("lengths-differ", || {
            red(arrays("x", &[1.0], &[1.0, 2.0]).exactly(), "got 1 elements")
        }),
        case("nothing-compared", || red(arrays::<f32>("x", &[], &[]).exactly(), "nothing")),
        case("shape-is-not-the-array", || {
            red(arrays("x", &[1.0], &[1.0]).shape(&[("row", 2)]).exactly(), "shape")
        }),
        case("report-names-everything", report),
        case("budget-must-bound", budgets),
    ]
}

fn red<T>(ended: Result<T, Failure>, says: &str) -> Result<(), Failure> {
    match ended {
        Ok(_) => Err(format!("green, but must be red and say {says:?}").into()),
        Err(failure) if failure.text().contains(says) => Ok(()),
        Err(failure) => Err(format!("red without saying {says:?}: {}", failure.text()).into()),
    }
}

fn budget() -> Budget {
    Budget { why: "selftest".into(), ..Budget::default() }
}

fn every_bit() -> Result<(), Failure> {
    fn flip_each<T: Element>(want: &[T], of: impl Fn(u64) -> T) -> Result<(), Failure> {
        arrays("same", want, want).exactly()?;
        for at in 0..want.len() {
            for bit in 0..T::DIGITS * 4 {
                let mut got = want.to_vec();
                got[at] = of(want[at].bits() ^ 1 << bit);
                red(arrays("flipped", &got, want).exactly(), "1 of 70 elements")?;
            }
        }
        Ok(())
    }
    let floats: Vec<f32> = (0..70).map(|i| (i as f32 - 35.0) * 0.37).collect();
    flip_each(&floats, |bits| f32::from_bits(bits as u32))?;
    let doubles: Vec<f64> = floats.iter().map(|x| f64::from(*x)).collect();
    flip_each(&doubles, f64::from_bits)?;
    let halves: Vec<half::f16> = floats.iter().map(|x| half::f16::from_f32(*x)).collect();
    flip_each(&halves, |bits| half::f16::from_bits(bits as u16))?;
    let words: Vec<u32> = (0..70u32).map(|i| i * 0x0101_0101).collect();
    flip_each(&words, |bits| bits as u32)?;
    let bytes: Vec<u8> = (0..70).collect();
    flip_each(&bytes, |bits| bits as u8)
}

/// Just inside a bound is green and just outside is red, at every place and for every bound.
fn every_bound() -> Result<(), Failure> {
    let want: Vec<f64> = (0..24).map(|i| 1.0 + f64::from(i)).collect();
    let energy: f64 = want.iter().map(|w| w * w).sum();
    for at in 0..want.len() {
        let row_energy: f64 = want[at / 6 * 6..at / 6 * 6 + 6].iter().map(|w| w * w).sum();
        let (w, bound) = (want[at], 1e-3);
        let loose = Some(1.0);
        let bounds = [
            (Budget { abs: Some(bound), ..budget() }, bound),
            (Budget { rel: Some(bound), ..budget() }, bound * w),
            (Budget { abs: Some(bound), rel: Some(bound), ..budget() }, bound + bound * w),
            (
                Budget { nmse: Some(bound), worst_row_nmse: loose, ..budget() },
                (bound * energy).sqrt(),
            ),
            (Budget { worst_row_nmse: Some(bound), ..budget() }, (bound * row_energy).sqrt()),
            (Budget { nmse: Some(bound), ..budget() }, (bound * row_energy).sqrt()),
        ];
        for (budget, limit) in bounds {
            for sign in [-1.0, 1.0] {
                let off_by = |factor: f64| {
                    let mut got = want.clone();
                    got[at] += sign * limit * factor;
                    arrays("x", &got, &want).shape(&[("row", 4), ("column", 6)]).within(&budget)
                };
                off_by(0.99).map_err(|e| format!("inside {budget:?}: {}", e.text()))?;
                red(off_by(1.01), &format!("[row {}, column {}]", at / 6, at % 6))?;
            }
        }
    }
    Ok(())
}

fn worst_row() -> Result<(), Failure> {
    let want = vec![1.0; 1000 * 10];
    let mut got = want.clone();
    got[9990..].fill(0.0);
    let compare = || arrays("x", &got, &want).shape(&[("token", 1000), ("dim", 10)]);
    red(compare().within(&Budget { nmse: Some(2e-3), ..budget() }), "one token (999)")
}

fn negative_zero() -> Result<(), Failure> {
    red(arrays("x", &[0.0f32], &[-0.0]).exactly(), "sign of zero")?;
    red(arrays("x", &[-0.0f64], &[0.0]).exactly(), "sign of zero")
}

fn nan_got() -> Result<(), Failure> {
    let loose = Budget { nmse: Some(1e9), abs: Some(1e9), rel: Some(1e9), ..budget() };
    for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        red(arrays("x", &[1.0, odd], &[1.0, 2.0]).within(&loose), "NaN/Inf out of place 1")?;
    }
    let infinite = [f32::INFINITY];
    let declared = arrays("x", &[f32::NEG_INFINITY], &infinite).non_finite("it overflows");
    red(declared.within(&loose), "NaN/Inf out of place 1")?;
    arrays("x", &infinite, &infinite).non_finite("it overflows").within(&loose)?;
    let zeros = Budget { nmse: Some(1e9), ..budget() };
    red(arrays("x", &[1e-30], &[0.0f64]).within(&zeros), "inf")
}

fn budgets() -> Result<(), Failure> {
    let compare = |budget: &Budget| arrays("x", &[1.0], &[1.0]).within(budget);
    red(compare(&budget()), "bounds nothing")?;
    red(compare(&Budget { rel: Some(1.0), ..Budget::default() }), "why")?;
    for odd in [f64::NAN, f64::INFINITY, -1.0, 0.0] {
        red(compare(&Budget { rel: Some(odd), ..budget() }), "positive and finite")?;
    }
    Ok(())
}

fn report() -> Result<(), Failure> {
    let want: Vec<f32> = (0..128).map(|i| i as f32 + 0.5).collect();
    let mut got = want.clone();
    got[64..96].iter_mut().for_each(|x| *x *= 2.0);
    let compare = || {
        arrays("matmul", &got, &want)
            .shape(&[("row", 2), ("column", 64)])
            .input("weights", &[0.0f32, -8.0, 2.0, 0.0])
            .provenance("llama.cpp b1")
    };
    let parts = [
        "matmul: not exact (2 row × 64 column, f32)",
        "worst     [row 1, column 31] got 0x433f0000 (191.0), want 0x42bf0000 (95.5)",
        "off by 9.550e1",
        "first     [row 1, column 0]",
        "32 of 128 elements (25.0 %), within row 1, column 0..=31",
        "looks like constant ratio 2.000000 (got / want); one block of 32 (from [1, 0])",
        "weights: 4 f32, all finite, absmax 8.000000e0, 50.0 % zeros",
        "want from llama.cpp b1",
        "selftest/compare.rs:",
    ];
    parts.into_iter().try_for_each(|part| red(compare().exactly(), part))
}

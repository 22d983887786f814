//! When a recording made on another machine counts as the same. Knows the files' formats, not what
//! they mean. On the machine that recorded, every byte counts, and nothing here is asked.

use crate::Result;
use crate::model::distance::nmse;
use crate::safetensors::{File, Tensor};

/// Other processors and C libraries round exponentials and sines otherwise, in the last bit.
const MOST_NMSE: f64 = 1e-10;

/// A number that a text states was rounded, or summed up from what differs in its last bits.
const MOST_RELATIVE: f64 = 1e-4;

/// Fails unless what must be told apart is told apart: asked before anything is called alike.
pub(crate) fn open_eyes() -> Result<()> {
    let file = |value: f32| {
        let tensors = [("x".into(), Tensor::floats(&[1, 2], &[1.0, value]))].into();
        File { metadata: [("oracle".into(), "x".into())].into(), tensors }.write()
    };
    let tensors = |old, new| {
        Ok::<_, Box<dyn std::error::Error>>(alike("x.safetensors", &file(old)?, &file(new)?))
    };
    let texts = |old: &str, new: &str| alike("x.toml", old.as_bytes(), new.as_bytes());
    let seen = [
        tensors(1.0, 1.000_001)?,
        !tensors(1.0, 1.000_1)?,
        !tensors(1.0, f32::NAN)?,
        !tensors(f32::NAN, f32::NAN)?,
        texts("margin = 0.50000", "margin = 0.50001"),
        texts("rms = \"0x1.8p-3\"", "rms = \"0x1.80002p-3\""),
        !texts("margin = 0.5", "margin = 0.6"),
        !texts("rms = \"0x1.8p-3\"", "rms = \"0x1.9p-3\""),
        !texts("ids = [1, 2]", "ids = [1, 3]"),
        !texts("ids = [1, 2]", "ids = [1]"),
        !texts("text: \"snow\"", "text: \"rain\""),
    ];
    match seen.iter().position(|seen| !seen) {
        Some(blind) => Err(format!("the comparison between machines misjudges {blind}").into()),
        None => Ok(()),
    }
}

pub(crate) fn alike(path: &str, old: &[u8], new: &[u8]) -> bool {
    if path.ends_with(".safetensors") {
        return tensors(old, new).unwrap_or(false);
    }
    let (old, new) = (String::from_utf8_lossy(old), String::from_utf8_lossy(new));
    let split = |text: &str| -> Vec<String> {
        let ends = |sign: char| sign.is_whitespace() || "\",=[]{}".contains(sign);
        text.split(ends).map(str::to_string).collect()
    };
    let (old, new) = (split(&old), split(&new));
    old.len() == new.len() && old.iter().zip(&new).all(|(old, new)| words(old, new))
}

fn words(old: &str, new: &str) -> bool {
    let close = |old: f64, new: f64| {
        (old - new).abs() <= MOST_RELATIVE * old.abs().max(new.abs()).max(1e-3)
    };
    // Whole numbers are ids, counts and shapes: they must be equal.
    let fraction = |word: &str| word.contains('.') || word.contains('p');
    let both = fraction(old) && fraction(new);
    old == new || both && number(old).zip(number(new)).is_some_and(|(old, new)| close(old, new))
}

/// A decimal or a hexadecimal float.
fn number(word: &str) -> Option<f64> {
    let (sign, magnitude) = word.strip_prefix('-').map_or((1.0, word), |rest| (-1.0, rest));
    let Some(hex) = magnitude.strip_prefix("0x") else { return word.parse().ok() };
    let (digits, exponent) = hex.split_once('p')?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let significand = u64::from_str_radix(&format!("{whole}{fraction}"), 16).ok()?;
    let exponent = exponent.parse::<i32>().ok()? - 4 * i32::try_from(fraction.len()).ok()?;
    Some(sign * significand as f64 * 2f64.powi(exponent))
}

fn tensors(old: &[u8], new: &[u8]) -> Result<bool> {
    let (old, new) = (File::read(old)?, File::read(new)?);
    let same = old.metadata == new.metadata && old.tensors.keys().eq(new.tensors.keys());
    Ok(same && old.tensors.values().zip(new.tensors.values()).all(|(old, new)| tensor(old, new)))
}

fn tensor(old: &Tensor, new: &Tensor) -> bool {
    if old.dtype != "F32" || old.dtype != new.dtype || old.shape != new.shape {
        return old == new;
    }
    // Written so that a NaN on either side is no likeness.
    nmse(&new.values(), &old.values()) <= MOST_NMSE
}

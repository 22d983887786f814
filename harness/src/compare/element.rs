//! What can be compared: numbers with bits. Knows widths and nothing of tensors.

use half::{bf16, f16};

/// A number that can be compared to the bit and, as f64, within a budget.
pub trait Element: Copy {
    /// What a report calls the type.
    const NAME: &'static str;
    /// Hexadecimal digits of its bits.
    const DIGITS: usize;
    /// The exact bits.
    fn bits(self) -> u64;
    /// The value; exact for every float and for integers up to 53 bits.
    fn value(self) -> f64;
    /// The shortest decimal that reads back as this value.
    fn decimal(self) -> String;
}

macro_rules! element {
    ($type:ty, $name:literal, $bits:expr, $value:expr) => {
        impl Element for $type {
            const NAME: &'static str = $name;
            const DIGITS: usize = size_of::<$type>() * 2;
            fn bits(self) -> u64 {
                let bits: fn($type) -> u64 = $bits;
                bits(self)
            }
            fn value(self) -> f64 {
                let value: fn($type) -> f64 = $value;
                value(self)
            }
            fn decimal(self) -> String {
                format!("{self:?}")
            }
        }
    };
}

element!(f64, "f64", |x| x.to_bits(), |x| x);
element!(f32, "f32", |x| x.to_bits().into(), |x| x.into());
element!(f16, "f16", |x| x.to_bits().into(), |x| x.into());
element!(bf16, "bf16", |x| x.to_bits().into(), |x| x.into());
element!(u64, "u64", |x| x, |x| x as f64);
element!(u32, "u32", |x| x.into(), |x| x.into());
element!(u16, "u16", |x| x.into(), |x| x.into());
element!(u8, "u8", |x| x.into(), |x| x.into());
element!(i64, "i64", |x| x as u64, |x| x as f64);
element!(i32, "i32", |x| x as u32 as u64, |x| x.into());
element!(i8, "i8", |x| x as u8 as u64, |x| x.into());

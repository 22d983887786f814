//! The other element formats of OCP Microscaling 1.0, decoded for reference: MXFP8 (E4M3, E5M2),
//! MXFP6 (E3M2, E2M3) and MXINT8, 32 elements under one E8M0 scale. GGUF has no type id for
//! them; elements come one a byte, because the specification leaves packing to the container.

/// An element format: sign, exponent and mantissa from the top bit down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element {
    /// Name as the specification spells it.
    pub name: &'static str,
    /// Width of the exponent; 0 for the two's complement fixed-point INT8.
    pub exponent_bits: u32,
    /// Width of the mantissa.
    pub mantissa_bits: u32,
    /// Which codes are not finite numbers.
    pub special: Special,
}

/// What a format does with its largest codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Special {
    /// Every code is a finite number.
    None,
    /// Only all ones below the sign is NaN; there is no infinity.
    AllOnes,
    /// The largest exponent means infinity (mantissa 0) or NaN, as in IEEE 754.
    Ieee,
}

const fn element(name: &'static str, exponent: u32, mantissa: u32, special: Special) -> Element {
    Element { name, exponent_bits: exponent, mantissa_bits: mantissa, special }
}

/// Every element format here; E2M1 has its own file, `mxfp4`.
pub static ELEMENTS: [Element; 5] = [
    element("E4M3", 4, 3, Special::AllOnes),
    element("E5M2", 5, 2, Special::Ieee),
    element("E3M2", 3, 2, Special::None),
    element("E2M3", 2, 3, Special::None),
    element("INT8", 0, 6, Special::None),
];

/// Elements under one scale.
pub const LEN: usize = 32;

/// 2^power for any power that f32 holds, subnormals included.
fn power_of_two(power: i32) -> f32 {
    match power {
        -126.. => f32::from_bits(((power + 127) as u32) << 23),
        _ => f32::from_bits(1 << (power + 149)),
    }
}

/// The value of an E8M0 scale byte: 2^(byte − 127), 255 is NaN.
pub fn scale(byte: u8) -> f32 {
    if byte == 255 { f32::NAN } else { power_of_two(i32::from(byte) - 127) }
}

impl Element {
    /// Width of a code.
    pub fn bits(&self) -> u32 {
        if self.exponent_bits == 0 { 8 } else { 1 + self.exponent_bits + self.mantissa_bits }
    }

    /// The exact value of a code; bits above the format's width are not looked at.
    pub fn value(&self, code: u8) -> f32 {
        if self.exponent_bits == 0 {
            return f32::from(code as i8) * power_of_two(-6);
        }
        let (e, m) = (self.exponent_bits, self.mantissa_bits);
        let mantissa = code & ((1 << m) - 1);
        let exponent = code >> m & ((1 << e) - 1);
        let bias = (1 << (e - 1)) - 1;
        let top = (1 << e) - 1;
        let magnitude = match self.special {
            Special::Ieee if exponent == top && mantissa == 0 => f32::INFINITY,
            Special::Ieee if exponent == top => return f32::NAN,
            Special::AllOnes if exponent == top && mantissa == (1 << m) - 1 => return f32::NAN,
            // Subnormal: no leading one, the exponent of code 1.
            _ if exponent == 0 => f32::from(mantissa) * power_of_two(1 - bias - m as i32),
            _ => {
                let power = power_of_two(i32::from(exponent) - bias - m as i32);
                f32::from(mantissa | 1 << m) * power
            }
        };
        if code >> (e + m) & 1 == 1 { -magnitude } else { magnitude }
    }

    /// y = element·2^(scale − 127). Exact except beyond f32's range, where it is infinite: the
    /// smallest product, 2^-143 of E5M2, is still a subnormal f32.
    pub fn decode(&self, scale_byte: u8, codes: &[u8], out: &mut [f32]) {
        debug_assert_eq!(codes.len(), out.len());
        let scale = scale(scale_byte);
        for (code, out) in codes.iter().zip(out) {
            *out = self.value(*code) * scale;
        }
    }
}

//! The suite's own formulas, in f64 and bits, sharing nothing with the engine. A formula judges
//! only after it has agreed with something that others recorded or published: the same author
//! makes the same mistake twice.

pub mod formats;
pub mod minifloat;
pub mod ops;
pub mod sampler;

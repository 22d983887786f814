//! Which devices we run on: compute capability to tier, as data. Knows numbers and sentences; it
//! never asks a device, so that it can be judged on a machine without one.

use crate::error::{Error, Result};

/// The oldest compute capability that has what our kernels use (bf16, asynchronous copies).
pub const MINIMUM: (u32, u32) = (8, 0);

/// How well a device is served. A tier says something about speed, never about accuracy: every
/// kernel's numbers are judged alike on all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tier {
    /// First compute capability of the tier.
    pub from: (u32, u32),
    /// First one past it.
    pub until: (u32, u32),
    /// NVIDIA's name for the generation.
    pub name: &'static str,
    /// What its owner should know about speed.
    pub speed: &'static str,
}

/// Every generation that we run on, in order, without gaps: a capability has exactly one row.
pub const TIERS: &[Tier] = &[
    Tier {
        from: (8, 0),
        until: (8, 9),
        name: "Ampere",
        speed: "portable kernels; speed is not tuned for this generation",
    },
    Tier {
        from: (8, 9),
        until: (9, 0),
        name: "Ada",
        speed: "portable kernels; speed is not tuned for this generation",
    },
    Tier {
        from: (9, 0),
        until: (10, 0),
        name: "Hopper",
        speed: "the generation that the kernels are tuned and measured on",
    },
    Tier {
        from: (10, 0),
        until: (u32::MAX, 0),
        name: "Blackwell or newer",
        speed: "portable kernels; native FP4 is not used, and speed was not measured",
    },
];

/// The tier of the device called `name`, or a refusal that names both capabilities.
pub fn tier(name: &str, capability: (u32, u32)) -> Result<&'static Tier> {
    let row = TIERS.iter().find(|tier| tier.from <= capability && capability < tier.until);
    row.ok_or_else(|| {
        let ((major, minor), (least_major, least_minor)) = (capability, MINIMUM);
        Error::DeviceRefused {
            device: name.into(),
            why: format!(
                "its compute capability is {major}.{minor}, and the kernels need \
                 {least_major}.{least_minor} (A100, RTX 30 or newer); --backend cpu still works"
            ),
        }
    })
}

//! What the driver's numbers mean: the one table of codes, and which of them a process does not
//! survive. Knows numbers, not what was asked; the caller says that.

use crate::error::{Error, Result};
use std::fmt;

/// An answer of the driver. Not an enum: drivers answer with numbers that headers do not list.
pub(super) type Code = u32;

pub(super) const SUCCESS: Code = 0;
const OUT_OF_MEMORY: Code = 2;

/// Code, the driver's name for it, and what to know about it.
const MEANINGS: &[(Code, &str, &str)] = &[
    (1, "INVALID_VALUE", ""),
    (OUT_OF_MEMORY, "OUT_OF_MEMORY", ""),
    (3, "NOT_INITIALIZED", ""),
    (4, "DEINITIALIZED", "the process is ending"),
    (34, "STUB_LIBRARY", "a stub library: no driver is installed"),
    (46, "DEVICE_UNAVAILABLE", "busy, or reserved by another process"),
    (100, "NO_DEVICE", "no device, or none that CUDA_VISIBLE_DEVICES lets this process see"),
    (101, "INVALID_DEVICE", "no device has this number"),
    (200, "INVALID_IMAGE", "the kernel's code is damaged"),
    (201, "INVALID_CONTEXT", ""),
    (209, "NO_BINARY_FOR_GPU", "the kernel was compiled for another architecture"),
    (214, "ECC_UNCORRECTABLE", "the device's memory is failing"),
    (218, "INVALID_PTX", ""),
    (220, "NVLINK_UNCORRECTABLE", ""),
    (221, "JIT_COMPILER_NOT_FOUND", "the driver's PTX compiler is not installed"),
    (222, "UNSUPPORTED_PTX_VERSION", "the driver is older than the compiler of this kernel"),
    (223, "JIT_COMPILATION_DISABLED", "CUDA_DISABLE_PTX_JIT is set"),
    (400, "INVALID_HANDLE", ""),
    (500, "NOT_FOUND", "the module has no such kernel"),
    (600, "NOT_READY", ""),
    (700, "ILLEGAL_ADDRESS", "a kernel touched memory that is not its own"),
    (701, "LAUNCH_OUT_OF_RESOURCES", "too many registers or too much shared memory"),
    (702, "LAUNCH_TIMEOUT", "a kernel ran too long for this display device"),
    (710, "ASSERT", "a kernel's assertion failed"),
    (714, "HARDWARE_STACK_ERROR", ""),
    (715, "ILLEGAL_INSTRUCTION", ""),
    (716, "MISALIGNED_ADDRESS", ""),
    (717, "INVALID_ADDRESS_SPACE", ""),
    (718, "INVALID_PC", ""),
    (719, "LAUNCH_FAILED", "a kernel ended abnormally"),
    (802, "SYSTEM_NOT_READY", ""),
    (803, "SYSTEM_DRIVER_MISMATCH", "the driver's kernel module and library differ in version"),
    (900, "STREAM_CAPTURE_UNSUPPORTED", ""),
    (901, "STREAM_CAPTURE_INVALIDATED", ""),
    (999, "UNKNOWN", "often the driver's kernel module is not loaded"),
];

/// After one of these every later call fails alike, and only a new process gets a working device.
const STICKY: &[Code] = &[214, 220, 700, 702, 710, 714, 715, 716, 717, 718, 719, 999];

/// Whether the process has lost its device with this answer.
pub fn is_sticky(code: u32) -> bool {
    STICKY.contains(&code)
}

/// A code with its name and meaning, for messages: `700 (ILLEGAL_ADDRESS: …)`.
pub struct Named(pub u32);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match MEANINGS.iter().find(|(code, _, _)| *code == self.0) {
            Some((code, name, "")) => write!(f, "{code} ({name})"),
            Some((code, name, meaning)) => write!(f, "{code} ({name}: {meaning})"),
            None => write!(f, "{} (a code that is not documented)", self.0),
        }
    }
}

/// An error for every answer but success. `doing` completes "cannot …".
pub(super) fn check(code: Code, doing: &'static str) -> Result<()> {
    match code {
        SUCCESS => Ok(()),
        code if is_sticky(code) => Err(Error::DeviceLost { code, why: format!("cannot {doing}") }),
        code => Err(Error::Device { code, doing }),
    }
}

/// Whether an answer means that memory ran out, which the ledger can tell better.
pub(super) fn is_out_of_memory(code: Code) -> bool {
    code == OUT_OF_MEMORY
}

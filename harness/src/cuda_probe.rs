//! Asks whether this machine has an NVIDIA driver and a device. Knows three functions of the
//! driver's stable ABI and no more; the CUDA backend asks its own questions.

use libloading::{Library, Symbol};
use std::ffi::c_int;

#[cfg(windows)]
const LIBRARY: &str = "nvcuda.dll";
#[cfg(not(windows))]
const LIBRARY: &str = "libcuda.so.1";

/// Whether the driver can be loaded, initialised, and counts a device.
pub(crate) fn probe() -> Result<(), String> {
    match devices() {
        Ok(0) => Err(format!("{LIBRARY} counts 0 devices")),
        Ok(_) => Ok(()),
        Err(what) => Err(what),
    }
}

fn devices() -> Result<c_int, String> {
    // SAFETY: loading the driver runs its initialisers, which the driver documents as harmless;
    // the library stays loaded until the process ends because unloading it is not supported.
    let library = unsafe { Library::new(LIBRARY) };
    let library = library.map_err(|error| format!("{LIBRARY} cannot be loaded: {error}"))?;
    let library: &'static Library = Box::leak(Box::new(library));
    let missing = |error: libloading::Error| format!("{LIBRARY}: {error}");
    // SAFETY: `CUresult cuInit(unsigned int)`, unchanged since CUDA 2.0.
    let init: Symbol<unsafe extern "C" fn(u32) -> c_int> =
        unsafe { library.get(b"cuInit\0") }.map_err(missing)?;
    // SAFETY: `CUresult cuDeviceGetCount(int *)`, unchanged since CUDA 2.0.
    let get_count: Symbol<unsafe extern "C" fn(*mut c_int) -> c_int> =
        unsafe { library.get(b"cuDeviceGetCount\0") }.map_err(missing)?;
    // SAFETY: 0 is the only flag value that cuInit allows.
    match unsafe { init(0) } {
        0 => {}
        code => return Err(format!("cuInit answers {code}{}", meaning(code))),
    }
    let mut count = 0;
    // SAFETY: the driver is initialised and `count` outlives the call.
    match unsafe { get_count(&mut count) } {
        0 => Ok(count),
        code => Err(format!("cuDeviceGetCount answers {code}{}", meaning(code))),
    }
}

fn meaning(code: c_int) -> &'static str {
    match code {
        34 => " (stub library: no driver is installed)",
        100 => " (no device)",
        803 => " (driver and library versions differ)",
        999 => " (unknown error; often the kernel module is not loaded)",
        _ => "",
    }
}

//! What devices there are and what they can do. Asks the driver; creates nothing on a device.

use super::driver::Driver;
use super::fault;
use super::gate::{self, Tier};
use crate::error::{Error, Result};
use cudarc::driver::sys::{CUdevice, CUdevice_attribute_enum as Attribute};
use std::ffi::CStr;

/// One device, as the driver describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The driver's number for it, as in `cuda:0`.
    pub ordinal: usize,
    /// Its name, e.g. `NVIDIA H100 80GB HBM3`.
    pub name: String,
    /// Compute capability, major and minor.
    pub capability: (u32, u32),
    /// Bytes of memory.
    pub memory_bytes: usize,
    /// Streaming multiprocessors.
    pub n_multiprocessors: u32,
    /// Shared memory that one block may ask for.
    pub shared_bytes_max: u32,
    /// Bytes of the second-level cache.
    pub l2_bytes: u32,
    pub(super) handle: CUdevice,
}

impl Device {
    /// The device that the driver calls `ordinal`.
    pub fn open(ordinal: usize) -> Result<Device> {
        let driver = Driver::open()?;
        let count = driver.device_count()?;
        let number = i32::try_from(ordinal).ok().filter(|_| ordinal < count);
        let number = number.ok_or_else(|| Error::NoDevice {
            why: format!("there is no cuda:{ordinal}; the driver counts {count}"),
        })?;
        let mut handle = 0;
        // SAFETY: the driver is initialised and `handle` outlives the call.
        fault::check(unsafe { (driver.functions.device)(&mut handle, number) }, "get a device")?;
        let asked = |attribute| attribute_of(driver, handle, attribute);
        Ok(Device {
            ordinal,
            name: name(driver, handle)?,
            capability: (
                asked(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
                asked(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
            ),
            memory_bytes: memory(driver, handle)?,
            n_multiprocessors: asked(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?,
            shared_bytes_max: asked(
                Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN,
            )?,
            l2_bytes: asked(Attribute::CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE)?,
            handle,
        })
    }

    /// All devices. None at all is an error that says why.
    pub fn all() -> Result<Vec<Device>> {
        match Driver::open()?.device_count()? {
            0 => Err(Error::NoDevice { why: "the driver counts 0 devices".into() }),
            count => (0..count).map(Device::open).collect(),
        }
    }

    /// How well we serve this device; a refusal if not at all.
    pub fn tier(&self) -> Result<&'static Tier> {
        gate::tier(&self.name, self.capability)
    }
}

fn name(driver: &Driver, handle: CUdevice) -> Result<String> {
    let mut text = [0u8; 256];
    // SAFETY: the driver writes at most 256 bytes, NUL included.
    let code = unsafe { (driver.functions.device_name)(text.as_mut_ptr().cast(), 256, handle) };
    fault::check(code, "ask for a device's name")?;
    let name = CStr::from_bytes_until_nul(&text).map(|name| name.to_string_lossy().into_owned());
    Ok(name.unwrap_or_default())
}

fn memory(driver: &Driver, handle: CUdevice) -> Result<usize> {
    let mut bytes = 0;
    // SAFETY: `bytes` outlives the call.
    let code = unsafe { (driver.functions.device_memory)(&mut bytes, handle) };
    fault::check(code, "ask for a device's memory")?;
    Ok(bytes)
}

fn attribute_of(driver: &Driver, handle: CUdevice, attribute: Attribute) -> Result<u32> {
    let mut value = 0;
    // SAFETY: `value` outlives the call, and the attribute is one of the header's.
    let code = unsafe { (driver.functions.device_attribute)(&mut value, attribute as i32, handle) };
    fault::check(code, "ask for a device's attribute")?;
    Ok(u32::try_from(value).unwrap_or(0))
}

//! A device in use: the driver's context, the latch that remembers a lost device, and the ledger of
//! its memory. Every call to the driver that can fail late goes through [`Context::call`].

use super::device::Device;
use super::driver::{Driver, Functions};
use super::fault::{self, Code};
use super::memory::Ledger;
use crate::error::{Error, Result};
use cudarc::driver::sys::CUcontext;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// A device in use. Ends with the last buffer, stream or module that was made from it.
pub struct Context {
    device: Device,
    driver: &'static Driver,
    raw: CUcontext,
    /// The code with which the device was lost, or 0. It never returns to 0.
    lost: AtomicU32,
    ledger: Mutex<Ledger>,
}

// SAFETY: the driver's contexts may be used from any thread; each call makes it current first.
unsafe impl Send for Context {}
// SAFETY: the driver locks inside; what we hold beside it is atomic or behind a mutex.
unsafe impl Sync for Context {}

impl Context {
    /// Takes a device into use, if it passes the gate.
    pub fn open(ordinal: usize) -> Result<Arc<Context>> {
        let device = Device::open(ordinal)?;
        device.tier()?;
        let driver = Driver::open()?;
        let mut raw = std::ptr::null_mut();
        // SAFETY: the handle is the driver's own and `raw` outlives the call.
        let code = unsafe { (driver.functions.context_retain)(&mut raw, device.handle) };
        fault::check(code, "take the device into use")?;
        let lost = AtomicU32::new(0);
        Ok(Arc::new(Context { device, driver, raw, lost, ledger: Mutex::default() }))
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The CUDA version of the driver.
    pub fn driver(&self) -> &'static Driver {
        self.driver
    }

    /// What the device's memory is used for at this moment.
    pub fn ledger(&self) -> Ledger {
        self.ledger_mut().clone()
    }

    pub(super) fn ledger_mut(&self) -> MutexGuard<'_, Ledger> {
        // A ledger is a few numbers, each written whole: a panic elsewhere leaves it sound.
        self.ledger.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Bytes free and in all, as the driver sees it: other processes count too.
    pub fn memory(&self) -> Result<(usize, usize)> {
        let (mut free, mut total) = (0, 0);
        self.call("ask for free memory", |driver| {
            // SAFETY: both outlive the call.
            unsafe { (driver.memory_info)(&mut free, &mut total) }
        })?;
        Ok((free, total))
    }

    /// Waits for everything that was asked of the device.
    pub fn synchronize(&self) -> Result<()> {
        // SAFETY: needs only a current context, which `call` provides.
        self.call("wait for the device", |driver| unsafe { (driver.context_synchronize)() })
    }

    /// Fails if the device was lost, whoever noticed.
    pub fn alive(&self) -> Result<()> {
        match self.lost.load(Ordering::Acquire) {
            0 => Ok(()),
            code => Err(Error::DeviceLost { code, why: "a call after the device was lost".into() }),
        }
    }

    /// Asks the driver for something on this device; remembers for good if the device is lost.
    pub(super) fn call(
        &self,
        doing: &'static str,
        ask: impl FnOnce(&Functions) -> Code,
    ) -> Result<()> {
        self.alive()?;
        fault::check(self.answer(ask), doing).inspect_err(|error| {
            if let Error::DeviceLost { code, .. } = error {
                self.lost.store(*code, Ordering::Release);
            }
        })
    }

    /// The driver's bare answer, for those who tell one code from another.
    pub(super) fn answer(&self, ask: impl FnOnce(&Functions) -> Code) -> Code {
        let functions = &self.driver.functions;
        // SAFETY: the context is retained as long as `self` lives.
        match unsafe { (functions.context_set)(self.raw) } {
            fault::SUCCESS => ask(functions),
            code => code,
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: retained once in `open`. A failure here has nobody left to tell.
        let _ = unsafe { (self.driver.functions.context_release)(self.device.handle) };
    }
}

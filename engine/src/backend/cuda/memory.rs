//! Device memory: plain allocations, each with an owner, all of them counted. Knows bytes, not what
//! they mean. No managed memory: what does not fit is an error, never a slow success.

use super::context::Context;
use super::fault;
use crate::error::{Error, Result};
use cudarc::driver::sys::CUdeviceptr;
use std::ffi::c_void;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

/// What device memory is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The model's tensors.
    Weights,
    /// Keys and values of what was read and written so far.
    Kv,
    /// Intermediate results of a pass.
    Scratch,
    /// What a captured pass needs beside scratch.
    Graphs,
}

impl Owner {
    /// All owners, in the ledger's order.
    pub const ALL: [Owner; 4] = [Owner::Weights, Owner::Kv, Owner::Scratch, Owner::Graphs];
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Owner::Weights => "weights",
            Owner::Kv => "KV",
            Owner::Scratch => "scratch",
            Owner::Graphs => "graphs",
        })
    }
}

/// Who holds how much.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    held: [usize; Owner::ALL.len()],
    peak: usize,
    allocations: usize,
}

impl Ledger {
    /// Bytes that `owner` holds.
    pub fn held(&self, owner: Owner) -> usize {
        self.held[owner as usize]
    }

    /// Bytes held in all.
    pub fn total(&self) -> usize {
        self.held.iter().sum()
    }

    /// The most that was ever held at once.
    pub fn peak(&self) -> usize {
        self.peak
    }

    /// How often memory was asked for, so that a case can show that a request asks for none.
    pub fn allocations(&self) -> usize {
        self.allocations
    }

    fn took(&mut self, owner: Owner, bytes: usize) {
        self.held[owner as usize] += bytes;
        self.allocations += 1;
        self.peak = self.peak.max(self.total());
    }

    fn gave_back(&mut self, owner: Owner, bytes: usize) {
        self.held[owner as usize] -= bytes;
    }
}

/// A piece of device memory. Freed when dropped.
pub struct Buffer {
    context: Arc<Context>,
    address: CUdeviceptr,
    bytes: usize,
    owner: Owner,
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of {} at {:#x}", self.bytes, self.owner, self.address)
    }
}

impl Buffer {
    /// Memory with whatever was in it before. `what` names it in the error if it does not fit.
    pub fn new(context: &Arc<Context>, owner: Owner, what: &str, bytes: usize) -> Result<Buffer> {
        context.alive()?;
        let mut address = 0;
        let asked = allocated(bytes);
        // SAFETY: `address` outlives the call.
        let code = context.answer(|driver| unsafe { (driver.allocate)(&mut address, asked) });
        if fault::is_out_of_memory(code) {
            let (has, total) = context.memory()?;
            let what = format!("{owner} ({what})");
            return Err(Error::DeviceMemory { what, needs: bytes, has, total });
        }
        context.call("allocate device memory", |_| code)?;
        context.ledger_mut().took(owner, bytes);
        Ok(Buffer { context: context.clone(), address, bytes, owner })
    }

    /// Where it starts, as kernels see it.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// How long it is.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How much was allocated for it.
    pub(super) fn allocated(&self) -> usize {
        allocated(self.bytes)
    }

    /// Whose it is.
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// The device it is on.
    pub fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// Whether the memory is on the device itself, asked of the driver: neither managed nor host.
    pub fn is_resident(&self) -> Result<bool> {
        const MEMORY_TYPE: i32 = 2;
        const IS_MANAGED: i32 = 8;
        const DEVICE: u32 = 2;
        Ok(self.attribute(MEMORY_TYPE)? == DEVICE && self.attribute(IS_MANAGED)? == 0)
    }

    fn attribute(&self, which: i32) -> Result<u32> {
        let mut value = 0u32;
        self.context.call("ask where memory lies", |driver| {
            let into = (&raw mut value).cast::<c_void>();
            // SAFETY: both attributes asked for are 32-bit numbers, and `value` outlives the call.
            unsafe { (driver.pointer_attribute)(into, which, self.address) }
        })?;
        Ok(value)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: allocated in `new`, freed once. On a lost device this fails, and the memory goes
        // with the process.
        let _ = self.context.answer(|driver| unsafe { (driver.free)(self.address) });
        self.context.ledger_mut().gave_back(self.owner, self.bytes);
    }
}

/// What kernels copy at a time.
const GRAIN: usize = 16;

/// An empty tensor still gets an address, so that no caller has to think of it; and kernels that
/// copy sixteen bytes at a time may read the last of them.
fn allocated(bytes: usize) -> usize {
    bytes.max(1).next_multiple_of(GRAIN)
}

/// Host memory that the device copies from and to at full speed.
pub struct Pinned {
    context: Arc<Context>,
    address: *mut u8,
    bytes: usize,
}

// SAFETY: it is ordinary memory with one owner.
unsafe impl Send for Pinned {}
// SAFETY: shared access only reads.
unsafe impl Sync for Pinned {}

impl Pinned {
    /// Zeroed memory of `bytes` bytes.
    pub fn new(context: &Arc<Context>, bytes: usize) -> Result<Pinned> {
        let mut address: *mut c_void = std::ptr::null_mut();
        context.call("allocate pinned host memory", |driver| {
            // SAFETY: `address` outlives the call; 0 asks for plain pinned memory.
            unsafe { (driver.allocate_host)(&mut address, bytes.max(1), 0) }
        })?;
        let address = address.cast::<u8>();
        // SAFETY: the driver gave at least `bytes` bytes.
        unsafe { address.write_bytes(0, bytes) };
        Ok(Pinned { context: context.clone(), address, bytes })
    }

    /// What it holds.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: initialised in `new`, `bytes` long, and lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.address, self.bytes) }
    }

    /// Where it starts; the device has the same address for it.
    pub(super) fn address(&self) -> u64 {
        self.address as u64
    }

    /// Word `at` of it, for memory that the device writes to while we look.
    pub(super) fn word(&self, at: usize) -> Option<&AtomicU32> {
        let inside = at.checked_mul(4).is_some_and(|start| start + 4 <= self.bytes);
        // SAFETY: inside, aligned as pinned pages are, initialised in `new`, and as long-lived.
        inside.then(|| unsafe { AtomicU32::from_ptr(self.address.cast::<u32>().add(at)) })
    }

    /// What it holds, to be changed.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `self` is borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(self.address, self.bytes) }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let address = self.address.cast();
        // SAFETY: allocated in `new`, freed once.
        let _ = self.context.answer(|driver| unsafe { (driver.free_host)(address) });
    }
}

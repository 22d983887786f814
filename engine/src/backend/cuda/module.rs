//! Compiled kernels on a device: modules, their functions, and launches. Knows symbols and argument
//! bytes, not what a kernel computes.

use super::context::Context;
use super::fault;
use super::memory::Buffer;
use super::stream::Stream;
use crate::error::{Error, Result};
use cudarc::driver::sys::{
    CUfunction, CUlaunchAttribute, CUlaunchAttributeID_enum as AttributeId, CUlaunchConfig,
    CUmodule,
};
use std::ffi::{CString, c_void};
use std::sync::Arc;

/// The code of one kernel file, on a device.
pub struct Module {
    context: Arc<Context>,
    raw: CUmodule,
    name: String,
}

// SAFETY: the driver's modules may be used from any thread.
unsafe impl Send for Module {}
// SAFETY: the driver locks inside.
unsafe impl Sync for Module {}

impl Module {
    /// Loads a cubin or PTX text. `name` is for messages.
    pub(super) fn load(context: &Arc<Context>, name: &str, image: &[u8]) -> Result<Arc<Module>> {
        // PTX is read up to a NUL, and the driver reads a cubin by the word.
        let mut aligned = vec![0u64; image.len() / 8 + 1];
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut aligned);
        bytes[..image.len()].copy_from_slice(image);
        let mut raw = std::ptr::null_mut();
        let code = context.answer(|driver| {
            // SAFETY: the image is whole (its hash was checked), aligned and NUL-terminated.
            unsafe { (driver.module_load)(&mut raw, aligned.as_ptr().cast()) }
        });
        if code != fault::SUCCESS && !fault::is_sticky(code) {
            let why = format!("cannot be loaded: the driver answers {}", fault::Named(code));
            return Err(Error::kernel(name, why));
        }
        context.call("load a kernel", |_| code)?;
        Ok(Arc::new(Module { context: context.clone(), raw, name: name.into() }))
    }

    /// The kernel called `symbol`, ready to launch.
    pub fn function(self: &Arc<Module>, symbol: &str) -> Result<Function> {
        let missing = |why: String| Error::kernel(format!("{} ({symbol})", self.name), why);
        let text = CString::new(symbol).map_err(|error| missing(error.to_string()))?;
        let mut raw = std::ptr::null_mut();
        let code = self.context.answer(|driver| {
            // SAFETY: `raw` outlives the call and the module is loaded.
            unsafe { (driver.module_function)(&mut raw, self.raw, text.as_ptr()) }
        });
        match code {
            fault::SUCCESS => {}
            code => return Err(missing(format!("the driver answers {}", fault::Named(code)))),
        }
        let function = Function { module: self.clone(), raw, symbol: symbol.into() };
        // Asking makes the driver load the function now, where running out of memory is an error of
        // loading and not of some later launch.
        function.registers()?;
        Ok(function)
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        // SAFETY: loaded once, unloaded once.
        let _ = self.context.answer(|driver| unsafe { (driver.module_unload)(self.raw) });
    }
}

/// A kernel that can be launched.
#[derive(Clone)]
pub struct Function {
    module: Arc<Module>,
    raw: CUfunction,
    symbol: String,
}

// SAFETY: the driver's functions may be launched from any thread.
unsafe impl Send for Function {}
// SAFETY: the driver locks inside.
unsafe impl Sync for Function {}

impl Function {
    /// Its name.
    pub fn symbol(&self) -> &str {
        &self.symbol
    }

    /// Registers a thread uses.
    pub fn registers(&self) -> Result<u32> {
        self.attribute(4)
    }

    /// Threads that a block may have: what its source bounds launches to.
    pub fn threads_max(&self) -> Result<u32> {
        self.attribute(0)
    }

    /// One of the driver's numbers about a kernel.
    fn attribute(&self, which: i32) -> Result<u32> {
        let mut value = 0;
        self.module.context.call("ask what a kernel uses", |driver| {
            // SAFETY: `value` outlives the call.
            unsafe { (driver.function_attribute)(&mut value, which, self.raw) }
        })?;
        Ok(u32::try_from(value).unwrap_or(0))
    }

    /// Allows launches with up to `bytes` of shared memory, where the default is 48 KiB.
    pub fn allow_shared(&self, bytes: u32) -> Result<()> {
        const DYNAMIC_SHARED: i32 = 8;
        let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
        // SAFETY: plain numbers.
        self.module.context.call("allow a kernel more shared memory", |driver| unsafe {
            (driver.set_function_attribute)(self.raw, DYNAMIC_SHARED, bytes)
        })
    }

    /// How many blocks of `threads` threads with `shared` bytes fit on a multiprocessor.
    pub fn blocks_per_multiprocessor(&self, threads: u32, shared: u32) -> Result<u32> {
        let mut blocks = 0;
        self.module.context.call("ask how many blocks fit", |driver| {
            // SAFETY: `blocks` outlives the call.
            unsafe { (driver.occupancy)(&mut blocks, self.raw, threads as i32, shared as usize) }
        })?;
        Ok(u32::try_from(blocks).unwrap_or(0))
    }

    /// Starts the description of a launch.
    pub fn launch(&self) -> Launch<'_> {
        Launch {
            function: self,
            grid: [1; 3],
            block: [1; 3],
            shared: 0,
            early: false,
            arguments: Vec::with_capacity(16),
        }
    }
}

/// A value that a kernel takes: at most eight bytes, laid out as C lays it out.
pub trait Argument {
    /// Its bytes, in the low end.
    fn bits(&self) -> u64;
}

impl Argument for u32 {
    fn bits(&self) -> u64 {
        u64::from(*self)
    }
}

impl Argument for i32 {
    fn bits(&self) -> u64 {
        u64::from(self.cast_unsigned())
    }
}

impl Argument for u64 {
    fn bits(&self) -> u64 {
        *self
    }
}

impl Argument for f32 {
    fn bits(&self) -> u64 {
        u64::from(self.to_bits())
    }
}

/// A buffer is passed as its address.
impl Argument for &Buffer {
    fn bits(&self) -> u64 {
        self.address()
    }
}

/// A launch being described. Grid and block default to one; whoever describes it vouches for the
/// arguments, as for everything that is handed to a device.
///
/// Not `unsafe`: a kernel reaches device memory only, so no mistake in it can break what Rust
/// promises about the host. It can spoil other buffers, which is what the sanitizer run is for.
#[must_use = "nothing happens before `on`"]
pub struct Launch<'a> {
    function: &'a Function,
    grid: [u32; 3],
    block: [u32; 3],
    shared: u32,
    early: bool,
    arguments: Vec<u64>,
}

impl Launch<'_> {
    /// How many blocks.
    pub fn grid(mut self, x: usize, y: usize, z: usize) -> Self {
        self.grid = [x, y, z].map(|extent| u32::try_from(extent).unwrap_or(u32::MAX));
        self
    }

    /// How many threads a block.
    pub fn block(mut self, x: u32, y: u32) -> Self {
        self.block = [x, y, 1];
        self
    }

    /// Bytes of shared memory chosen at launch. Beyond 48 KiB see [`Function::allow_shared`].
    pub fn shared(mut self, bytes: u32) -> Self {
        self.shared = bytes;
        self
    }

    /// May start before the kernel ahead of it has ended (programmatic dependent launch). The
    /// kernel must then wait itself, with `griddepcontrol.wait`, before it touches its inputs.
    pub fn early(mut self) -> Self {
        self.early = true;
        self
    }

    /// The next argument, in the kernel's order.
    pub fn arg(mut self, value: impl Argument) -> Self {
        self.arguments.push(value.bits());
        self
    }

    /// Queues it. A grid with no block in it is nothing to do.
    pub fn on(mut self, stream: &Stream) -> Result<()> {
        if self.grid.contains(&0) {
            return Ok(());
        }
        let mut pointers: Vec<*mut c_void> =
            self.arguments.iter_mut().map(|value| (&raw mut *value).cast()).collect();
        let mut attributes: Vec<CUlaunchAttribute> = Vec::new();
        if self.early {
            attributes.push(early());
        }
        let config = CUlaunchConfig {
            gridDimX: self.grid[0],
            gridDimY: self.grid[1],
            gridDimZ: self.grid[2],
            blockDimX: self.block[0],
            blockDimY: self.block[1],
            blockDimZ: self.block[2],
            sharedMemBytes: self.shared,
            hStream: stream.raw,
            attrs: attributes.as_mut_ptr(),
            numAttrs: u32::from(self.early),
        };
        let function = self.function;
        let code = stream.context().answer(|driver| {
            let extra = std::ptr::null_mut();
            // SAFETY: the driver reads as many arguments as the kernel has, each of at most eight
            // bytes from its own pointer; configuration and attributes outlive the call.
            unsafe { (driver.launch)(&config, function.raw, pointers.as_mut_ptr(), extra) }
        });
        if code != fault::SUCCESS && !fault::is_sticky(code) {
            let why = format!(
                "grid {:?}, block {:?}, {} bytes shared: the driver answers {}",
                self.grid,
                self.block,
                self.shared,
                fault::Named(code)
            );
            return Err(Error::kernel(&function.symbol, why));
        }
        stream.context().call("launch a kernel", |_| code)
    }
}

fn early() -> CUlaunchAttribute {
    // SAFETY: plain old data, for which zeros are valid.
    let mut attribute: CUlaunchAttribute = unsafe { std::mem::zeroed() };
    attribute.id = AttributeId::CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
    attribute.value.programmaticStreamSerializationAllowed = 1;
    attribute
}

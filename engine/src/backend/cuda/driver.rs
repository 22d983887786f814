//! The CUDA driver, looked up at run time: one table of functions, each asked for once by name.
//! Knows the driver's calling convention and no more; the safe verbs over it are in `context`.
//!
//! The bindings crate lends us the types only. Its own functions end the process when a symbol is
//! missing, and read a code that it does not know as an enum, which is undefined behaviour.

use super::fault::{self, Code};
use crate::error::{Error, Result};
use cudarc::driver::sys::{
    CUcontext, CUdevice, CUdeviceptr, CUevent, CUfunction, CUgraph, CUgraphExec, CUgraphNode,
    CUlaunchConfig, CUmodule, CUstream,
};
use libloading::Library;
use std::ffi::{c_char, c_int, c_uint, c_void};
use std::sync::OnceLock;

#[cfg(windows)]
const LIBRARY: &str = "nvcuda.dll";
#[cfg(not(windows))]
const LIBRARY: &str = "libcuda.so.1";

/// CUDA 12.0: the oldest driver that loads the kernels we ship.
pub(super) const OLDEST: i32 = 12_000;

macro_rules! functions {
    ($( $name:ident = $symbol:literal ( $( $argument:ty ),* ); )*) => {
        /// The driver's functions that we call. Their answers are plain numbers, see [`fault`].
        pub(super) struct Functions {
            $( pub(super) $name: unsafe extern "C" fn( $( $argument ),* ) -> Code, )*
        }

        /// Every symbol that a driver must have, besides `cuDriverGetVersion`.
        pub const SYMBOLS: &[&str] = &[ $( $symbol ),* ];

        impl Functions {
            /// Finds every function, or names the first that the library lacks.
            fn find(library: &Library) -> Result<Functions, &'static str> {
                Ok(Functions {
                    $(
                        // SAFETY: the driver's ABI is stable per symbol, and the symbol names the
                        // version whose argument types stand here.
                        $name: *unsafe { library.get(concat!($symbol, "\0").as_bytes()) }
                            .map_err(|_| $symbol)?,
                    )*
                })
            }
        }
    };
}

functions! {
    init = "cuInit"(c_uint);
    device_count = "cuDeviceGetCount"(*mut c_int);
    device = "cuDeviceGet"(*mut CUdevice, c_int);
    device_name = "cuDeviceGetName"(*mut c_char, c_int, CUdevice);
    device_memory = "cuDeviceTotalMem_v2"(*mut usize, CUdevice);
    device_attribute = "cuDeviceGetAttribute"(*mut c_int, c_int, CUdevice);
    context_retain = "cuDevicePrimaryCtxRetain"(*mut CUcontext, CUdevice);
    context_release = "cuDevicePrimaryCtxRelease_v2"(CUdevice);
    context_set = "cuCtxSetCurrent"(CUcontext);
    context_synchronize = "cuCtxSynchronize"();
    memory_info = "cuMemGetInfo_v2"(*mut usize, *mut usize);
    allocate = "cuMemAlloc_v2"(*mut CUdeviceptr, usize);
    free = "cuMemFree_v2"(CUdeviceptr);
    allocate_host = "cuMemHostAlloc"(*mut *mut c_void, usize, c_uint);
    free_host = "cuMemFreeHost"(*mut c_void);
    host_to_device = "cuMemcpyHtoDAsync_v2"(CUdeviceptr, *const c_void, usize, CUstream);
    device_to_host = "cuMemcpyDtoHAsync_v2"(*mut c_void, CUdeviceptr, usize, CUstream);
    device_to_device = "cuMemcpyDtoDAsync_v2"(CUdeviceptr, CUdeviceptr, usize, CUstream);
    set_bytes = "cuMemsetD8Async"(CUdeviceptr, u8, usize, CUstream);
    pointer_attribute = "cuPointerGetAttribute"(*mut c_void, c_int, CUdeviceptr);
    stream_create = "cuStreamCreate"(*mut CUstream, c_uint);
    stream_destroy = "cuStreamDestroy_v2"(CUstream);
    stream_synchronize = "cuStreamSynchronize"(CUstream);
    stream_wait = "cuStreamWaitEvent"(CUstream, CUevent, c_uint);
    capture_begin = "cuStreamBeginCapture_v2"(CUstream, c_int);
    capture_end = "cuStreamEndCapture"(CUstream, *mut CUgraph);
    event_create = "cuEventCreate"(*mut CUevent, c_uint);
    event_destroy = "cuEventDestroy_v2"(CUevent);
    event_record = "cuEventRecord"(CUevent, CUstream);
    event_synchronize = "cuEventSynchronize"(CUevent);
    event_elapsed = "cuEventElapsedTime"(*mut f32, CUevent, CUevent);
    module_load = "cuModuleLoadData"(*mut CUmodule, *const c_void);
    module_unload = "cuModuleUnload"(CUmodule);
    module_function = "cuModuleGetFunction"(*mut CUfunction, CUmodule, *const c_char);
    function_attribute = "cuFuncGetAttribute"(*mut c_int, c_int, CUfunction);
    set_function_attribute = "cuFuncSetAttribute"(CUfunction, c_int, c_int);
    occupancy = "cuOccupancyMaxActiveBlocksPerMultiprocessor"(
        *mut c_int, CUfunction, c_int, usize
    );
    launch = "cuLaunchKernelEx"(
        *const CUlaunchConfig, CUfunction, *mut *mut c_void, *mut *mut c_void
    );
    graph_instantiate = "cuGraphInstantiateWithFlags"(*mut CUgraphExec, CUgraph, u64);
    graph_nodes = "cuGraphGetNodes"(CUgraph, *mut CUgraphNode, *mut usize);
    graph_upload = "cuGraphUpload"(CUgraphExec, CUstream);
    graph_launch = "cuGraphLaunch"(CUgraphExec, CUstream);
    graph_destroy = "cuGraphDestroy"(CUgraph);
    graph_exec_destroy = "cuGraphExecDestroy"(CUgraphExec);
}

/// A driver that is there, new enough, and initialised.
pub struct Driver {
    pub(super) functions: Functions,
    /// As the driver says it: 13000 is CUDA 13.0.
    version: i32,
}

impl Driver {
    /// The process's one driver. Whatever is missing comes back as an error that names it.
    pub fn open() -> Result<&'static Driver> {
        static DRIVER: OnceLock<Result<Driver, Absence>> = OnceLock::new();
        match DRIVER.get_or_init(open) {
            Ok(driver) => Ok(driver),
            Err(absence) => Err(absence.error()),
        }
    }

    /// The CUDA version that the driver supports, e.g. `13.0`.
    pub fn version(&self) -> String {
        spelled(self.version)
    }

    /// The major version alone: code from a newer compiler cannot be loaded.
    pub fn major(&self) -> u32 {
        u32::try_from(self.version / 1000).unwrap_or(0)
    }

    /// How many devices the driver shows to this process.
    pub fn device_count(&self) -> Result<usize> {
        let mut count = 0;
        // SAFETY: the driver is initialised and `count` outlives the call.
        let code = unsafe { (self.functions.device_count)(&mut count) };
        fault::check(code, "count the devices")?;
        Ok(usize::try_from(count).unwrap_or(0))
    }
}

/// Why there is no driver, kept so that every caller gets the same answer.
enum Absence {
    NoDevice(String),
    TooOld { has: String, lacks: Option<&'static str> },
}

impl Absence {
    fn error(&self) -> Error {
        match self {
            Absence::NoDevice(why) => Error::NoDevice { why: why.clone() },
            Absence::TooOld { has, lacks } => Error::DriverTooOld {
                has: has.clone(),
                needs: match lacks {
                    Some(symbol) => format!("{} (it lacks {symbol})", spelled(OLDEST)),
                    None => spelled(OLDEST),
                },
            },
        }
    }
}

fn open() -> Result<Driver, Absence> {
    // SAFETY: loading the driver runs its initialisers, which it documents as harmless.
    let library = unsafe { Library::new(LIBRARY) }
        .map_err(|error| Absence::NoDevice(format!("{LIBRARY} cannot be loaded: {error}")))?;
    // The driver cannot be unloaded while anything of it may still run.
    let library: &'static Library = Box::leak(Box::new(library));
    let version = version(library)?;
    let functions = Functions::find(library)
        .map_err(|symbol| Absence::TooOld { has: spelled(version), lacks: Some(symbol) })?;
    // SAFETY: 0 is the only flag that exists.
    match unsafe { (functions.init)(0) } {
        fault::SUCCESS => Ok(Driver { functions, version }),
        code => Err(Absence::NoDevice(format!("cuInit answers {}", fault::Named(code)))),
    }
}

/// The version is asked for before all other functions, so that an old driver is told by its age.
fn version(library: &Library) -> Result<i32, Absence> {
    // SAFETY: `CUresult cuDriverGetVersion(int *)`, unchanged since CUDA 2.2.
    let ask =
        unsafe { library.get::<unsafe extern "C" fn(*mut c_int) -> Code>(b"cuDriverGetVersion\0") };
    let ask = ask.map_err(|_| Absence::TooOld {
        has: "unknown".into(),
        lacks: Some("cuDriverGetVersion"),
    })?;
    let mut version = 0;
    // SAFETY: needs no initialisation; `version` outlives the call.
    match unsafe { ask(&mut version) } {
        fault::SUCCESS if version < OLDEST => {
            Err(Absence::TooOld { has: spelled(version), lacks: None })
        }
        fault::SUCCESS => Ok(version),
        code => {
            Err(Absence::NoDevice(format!("cuDriverGetVersion answers {}", fault::Named(code))))
        }
    }
}

fn spelled(version: i32) -> String {
    format!("CUDA {}.{}", version / 1000, version % 1000 / 10)
}

//! The kernel compiler (NVRTC), found where toolkits and Python packages put it and loaded by path:
//! no search path has to be set up, and no headers are needed. Knows C++ text in, code and a log
//! out; what to do with them is for `kernels` and `pack`.

use super::sources::Unit;
use super::target;
use super::usage::{self, Usage};
use crate::error::{Error, Result};
use libloading::Library;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};

/// A constant that a kernel file is compiled for: its name and value.
pub type Constant = (&'static str, u32);

/// What every kernel is compiled with. No option may make arithmetic depend on the compiler's mood:
/// a product and a sum are fused where the source says `fmaf`, and nowhere else.
pub const OPTIONS: &[&str] = &["--std=c++17", "--fmad=false", "-default-device"];

type Status = c_int;
type Program = *mut c_void;

/// NVRTC's functions that we call.
struct Functions {
    version: unsafe extern "C" fn(*mut c_int, *mut c_int) -> Status,
    create: unsafe extern "C" fn(
        *mut Program,
        *const c_char,
        *const c_char,
        c_int,
        *const *const c_char,
        *const *const c_char,
    ) -> Status,
    destroy: unsafe extern "C" fn(*mut Program) -> Status,
    compile: unsafe extern "C" fn(Program, c_int, *const *const c_char) -> Status,
    log: Text,
    cubin: Text,
    ptx: Text,
}

/// A pair of functions: how long a text is, and the text.
#[derive(Clone, Copy)]
struct Text {
    size: unsafe extern "C" fn(Program, *mut usize) -> Status,
    read: unsafe extern "C" fn(Program, *mut c_char) -> Status,
}

impl Functions {
    fn find(library: &Library) -> Result<Functions, libloading::Error> {
        // SAFETY: each symbol has the type that NVRTC's header gives it since CUDA 11.1.
        unsafe {
            let text = |size: &[u8], read: &[u8]| -> Result<Text, libloading::Error> {
                Ok(Text { size: *library.get(size)?, read: *library.get(read)? })
            };
            Ok(Functions {
                version: *library.get(b"nvrtcVersion\0")?,
                create: *library.get(b"nvrtcCreateProgram\0")?,
                destroy: *library.get(b"nvrtcDestroyProgram\0")?,
                compile: *library.get(b"nvrtcCompileProgram\0")?,
                log: text(b"nvrtcGetProgramLogSize\0", b"nvrtcGetProgramLog\0")?,
                cubin: text(b"nvrtcGetCUBINSize\0", b"nvrtcGetCUBIN\0")?,
                ptx: text(b"nvrtcGetPTXSize\0", b"nvrtcGetPTX\0")?,
            })
        }
    }
}

/// A compiler that is there.
pub struct Compiler {
    functions: Functions,
    version: (i32, i32),
    path: PathBuf,
}

/// What a compilation gives.
pub struct Compiled {
    /// A cubin, or PTX text.
    pub image: Vec<u8>,
    /// What each kernel of the file uses; empty for PTX, which is not assigned registers yet.
    pub usage: Vec<Usage>,
}

impl Compiler {
    /// The first compiler found whose code a driver of CUDA `major_at_most` can load.
    pub fn find(major_at_most: u32) -> Result<Compiler> {
        let mut seen = Vec::new();
        for path in super::search::compilers(major_at_most) {
            match Compiler::open(&path) {
                Ok(compiler) => return Ok(compiler),
                Err(error) => seen.push(error.to_string()),
            }
        }
        let seen = if seen.is_empty() { "none was found".into() } else { seen.join("; ") };
        Err(Error::kernel("compiler", format!("NVRTC is missing: {seen}\n{}", advice())))
    }

    /// The compiler at `path`.
    pub fn open(path: &Path) -> Result<Compiler> {
        let wrong = |why: String| Error::kernel("compiler", format!("{}: {why}", path.display()));
        // CUDA 13's compiler asks for its builtins by bare name, which only works once they are
        // loaded; they lie beside it.
        for builtins in super::search::builtins_beside(path) {
            // SAFETY: a library of data and plain functions, kept loaded.
            if let Ok(library) = unsafe { Library::new(builtins) } {
                std::mem::forget(library);
            }
        }
        // SAFETY: loading NVRTC runs its initialisers, which it documents as harmless.
        let library = unsafe { Library::new(path) }.map_err(|error| wrong(error.to_string()))?;
        let library: &'static Library = Box::leak(Box::new(library));
        let functions = Functions::find(library).map_err(|error| wrong(error.to_string()))?;
        let (mut major, mut minor) = (0, 0);
        // SAFETY: both outlive the call.
        match unsafe { (functions.version)(&mut major, &mut minor) } {
            0 => Ok(Compiler { functions, version: (major, minor), path: path.into() }),
            status => Err(wrong(format!("does not say its version (status {status})"))),
        }
    }

    /// What it calls itself, e.g. `NVRTC 12.9`.
    pub fn version(&self) -> String {
        format!("NVRTC {}.{}", self.version.0, self.version.1)
    }

    /// Where it was found.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Compiles `unit` with `constants` for `target`.
    pub fn compile(&self, unit: &Unit, constants: &[Constant], target: &str) -> Result<Compiled> {
        let name = super::kernels::spelled(&unit.stem, constants);
        let failed = |why: String| Error::kernel(name.clone(), why);
        let options = options(constants, target);
        let text = |text: &str| CString::new(text).map_err(|error| failed(error.to_string()));
        let options: Vec<CString> = options.iter().map(|word| text(word)).collect::<Result<_>>()?;
        let program = self.program(unit, &failed)?;
        let words: Vec<*const c_char> = options.iter().map(|word| word.as_ptr()).collect();
        // SAFETY: the program is alive; the options outlive the call.
        let status =
            unsafe { (self.functions.compile)(program.raw, words.len() as c_int, words.as_ptr()) };
        let log = program.read(self.functions.log).unwrap_or_default();
        let log = CStr::from_bytes_until_nul(&log).map(CStr::to_string_lossy).unwrap_or_default();
        if status != 0 {
            let version = self.version();
            return Err(failed(format!("{version} refuses it for {target} ({status}):\n{log}")));
        }
        let code = if target::is_ptx(target) { self.functions.ptx } else { self.functions.cubin };
        let image = program.read(code).filter(|image| !image.is_empty());
        let image = image.ok_or_else(|| failed(format!("no code for {target}:\n{log}")))?;
        Ok(Compiled { image, usage: usage::parse(&log) })
    }

    fn program(&self, unit: &Unit, failed: &dyn Fn(String) -> Error) -> Result<Unfinished<'_>> {
        let text = |text: &str| CString::new(text).map_err(|error| failed(error.to_string()));
        let (source, file) = (text(&unit.text)?, text(&format!("{}.cu", unit.stem))?);
        let (mut names, mut bodies) = (Vec::new(), Vec::new());
        for (name, body) in &unit.headers {
            names.push(text(name)?);
            bodies.push(text(body)?);
        }
        let pointers = |texts: &[CString]| -> Vec<*const c_char> {
            texts.iter().map(|text| text.as_ptr()).collect()
        };
        let (names, bodies) = (pointers(&names), pointers(&bodies));
        let mut raw = std::ptr::null_mut();
        // SAFETY: NVRTC copies all texts, which outlive the call; the lists are equally long.
        let status = unsafe {
            (self.functions.create)(
                &mut raw,
                source.as_ptr(),
                file.as_ptr(),
                names.len() as c_int,
                bodies.as_ptr(),
                names.as_ptr(),
            )
        };
        match status {
            0 => Ok(Unfinished { compiler: self, raw }),
            status => Err(failed(format!("the compiler cannot start (status {status})"))),
        }
    }
}

/// The words that a compilation is started with.
pub(super) fn options(constants: &[Constant], target: &str) -> Vec<String> {
    let mut words: Vec<String> = OPTIONS.iter().map(|word| (*word).to_owned()).collect();
    words.push(format!("--gpu-architecture={target}"));
    words.extend(constants.iter().map(|(name, value)| format!("--define-macro={name}={value}")));
    if super::sources::folder().is_some() {
        // Whoever works on the kernels wants a sanitizer to name lines; code stays the same.
        words.push("--generate-line-info".into());
    }
    if !target::is_ptx(target) {
        words.push("--ptxas-options=-v".into());
    }
    words
}

/// How to get a compiler, for every message that misses one.
pub fn advice() -> String {
    "install it with `pip install nvidia-cuda-nvrtc-cu12` (or a CUDA toolkit, or use a release \
     build, which has its kernels inside); looked in CUDA_HOME, CUDA_PATH, CUDA toolkits, \
     VIRTUAL_ENV, CONDA_PREFIX and the system's and user's Python packages"
        .into()
}

/// A program between its creation and its end.
struct Unfinished<'a> {
    compiler: &'a Compiler,
    raw: Program,
}

impl Unfinished<'_> {
    fn read(&self, text: Text) -> Option<Vec<u8>> {
        let mut size = 0;
        // SAFETY: the program is alive and `size` outlives the call.
        if unsafe { (text.size)(self.raw, &mut size) } != 0 {
            return None;
        }
        let mut bytes = vec![0u8; size];
        // SAFETY: the buffer is as long as NVRTC just said.
        (unsafe { (text.read)(self.raw, bytes.as_mut_ptr().cast()) } == 0).then_some(bytes)
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        // SAFETY: created once, destroyed once.
        let _ = unsafe { (self.compiler.functions.destroy)(&mut self.raw) };
    }
}

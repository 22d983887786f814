//! ggml's block formats through the C interface: the only unsafe code beside `llama`. Knows type
//! traits and how the library was built; not what is done with the values.

use crate::Result;
use llama_cpp_sys_2 as sys;
use std::collections::BTreeMap;
use std::ffi::{CStr, c_void};

/// Of the oracle's crate; the published crate holds no llama.cpp commit, so this names it.
const CRATE: &str = "llama-cpp-sys-2 0.1.161";

/// A block format as ggml knows it.
pub(crate) struct Type {
    pub(crate) name: &'static str,
    pub(crate) id: u32,
    pub(crate) block_len: usize,
    pub(crate) block_bytes: usize,
    traits: &'static sys::ggml_type_traits,
}

impl Type {
    pub(crate) fn named(name: &'static str) -> Result<Self> {
        for id in 0..sys::GGML_TYPE_COUNT {
            // SAFETY: `id` is below the count, and the table is a static of the library.
            let traits = unsafe { sys::ggml_get_type_traits(id).as_ref() };
            let Some(traits) = traits.filter(|traits| !traits.type_name.is_null()) else {
                continue;
            };
            // SAFETY: a C string literal of the library.
            let found = unsafe { CStr::from_ptr(traits.type_name) };
            if found.to_bytes().eq_ignore_ascii_case(name.as_bytes()) {
                let block_len = usize::try_from(traits.blck_size)?;
                return Ok(Self { name, id, block_len, block_bytes: traits.type_size, traits });
            }
        }
        Err(format!("this ggml has no type {name}").into())
    }

    /// `to_float` over whole blocks.
    pub(crate) fn decode(&self, blocks: &[u8]) -> Result<Vec<f32>> {
        let to_float = self.traits.to_float.ok_or("no row dequantiser")?;
        let count = blocks.len() / self.block_bytes * self.block_len;
        let mut values = vec![0.0f32; count];
        // Blocks hold u16 fields, and a Vec<u8> promises no alignment.
        let aligned = Aligned::holding(blocks);
        // SAFETY: the input holds `count / block_len` whole blocks, the output `count` floats.
        unsafe { to_float(aligned.start(), values.as_mut_ptr(), count as i64) };
        Ok(values)
    }

    /// `from_float_ref` over whole blocks.
    pub(crate) fn encode(&self, values: &[f32]) -> Result<Vec<u8>> {
        let from_float = self.traits.from_float_ref.ok_or("no reference quantiser")?;
        let bytes = values.len() / self.block_len * self.block_bytes;
        let mut aligned = Aligned::holding(&vec![0; bytes]);
        // SAFETY: the input holds whole blocks' worth of floats, the output as many blocks.
        unsafe { from_float(values.as_ptr(), aligned.start_mut(), values.len() as i64) };
        Ok(aligned.bytes(bytes))
    }
}

/// Bytes at an address that any block struct accepts.
struct Aligned(Vec<u64>);

impl Aligned {
    fn holding(bytes: &[u8]) -> Self {
        let word = |chunk: &[u8]| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_ne_bytes(word)
        };
        Self(bytes.chunks(8).map(word).collect())
    }

    fn start(&self) -> *const c_void {
        self.0.as_ptr().cast()
    }

    fn start_mut(&mut self) -> *mut c_void {
        self.0.as_mut_ptr().cast()
    }

    fn bytes(&self, count: usize) -> Vec<u8> {
        let all = self.0.iter().flat_map(|word| word.to_ne_bytes());
        all.take(count).collect()
    }
}

/// Name, what this build of ggml says of itself, and what a recording needs it to say.
fn instruction_set() -> Vec<(&'static str, bool, bool)> {
    type Has = unsafe extern "C" fn() -> std::ffi::c_int;
    let features: [(&str, Has, bool); 9] = [
        ("AVX", sys::ggml_cpu_has_avx, true),
        ("AVX2", sys::ggml_cpu_has_avx2, true),
        ("BMI2", sys::ggml_cpu_has_bmi2, true),
        ("F16C", sys::ggml_cpu_has_f16c, true),
        ("FMA", sys::ggml_cpu_has_fma, true),
        ("AVX-VNNI", sys::ggml_cpu_has_avx_vnni, false),
        ("AVX-512", sys::ggml_cpu_has_avx512, false),
        ("AMX-INT8", sys::ggml_cpu_has_amx_int8, false),
        ("llamafile", sys::ggml_cpu_has_llamafile, false),
    ];
    // SAFETY: the functions take nothing and return a constant of the build.
    let ask = |(name, has, wanted): (_, Has, _)| (name, unsafe { has() } != 0, wanted);
    features.into_iter().map(ask).collect()
}

/// Recordings must not depend on the machine that records them.
pub(crate) fn refuse_unexpected_build() -> Result<()> {
    let off = |(name, is, wanted)| (is != wanted).then(|| format!("{name} is {is}"));
    let wrong: Vec<_> = instruction_set().into_iter().filter_map(off).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    let wrong = wrong.join(", ");
    Err(format!("ggml is built otherwise than .cargo/config.toml asks ({wrong}); build in golden/")
        .into())
}

/// What every recording of llama.cpp's says about itself. No date: recording twice is a no-op.
pub(crate) fn provenance() -> BTreeMap<String, String> {
    // SAFETY: a static C string of the library.
    let version = unsafe { CStr::from_ptr(sys::ggml_version()) }.to_string_lossy();
    let is: Vec<_> = instruction_set().into_iter().filter(|feature| feature.1).collect();
    let is: Vec<_> = is.iter().map(|feature| feature.0).collect();
    BTreeMap::from([
        ("oracle".into(), format!("llama.cpp as bundled by {CRATE}, ggml {version}")),
        ("instruction-set".into(), format!("x86-64, ggml-cpu with {}", is.join(" "))),
        ("threads".into(), "1".into()),
    ])
}

/// What the last bits of an exponential may depend on: the processor and the C library.
pub(crate) fn machine() -> String {
    unsafe extern "C" {
        fn gnu_get_libc_version() -> *const std::ffi::c_char;
    }
    let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let named = processors.lines().find_map(|line| line.strip_prefix("model name"));
    let processor = named.and_then(|line| line.split_once(':')).map_or("unknown", |(_, name)| name);
    // SAFETY: a static C string of the C library.
    let libc = unsafe { CStr::from_ptr(gnu_get_libc_version()) }.to_string_lossy();
    format!("{}, glibc {libc}", processor.trim())
}

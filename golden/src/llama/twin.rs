//! The F32 twin of a model: the same metadata, every tensor decoded by ggml's own row dequantisers,
//! so that llama.cpp computes with exactly the weights of the file and rounds no activation.

use crate::Result;
use crate::digest::sha256;
use llama_cpp_sys_2 as sys;
use std::ffi::{CStr, CString};
use std::path::{Path, PathBuf};

/// A twin in the folder for temporary files; gone when dropped.
pub(crate) struct Twin {
    pub(crate) path: PathBuf,
}

impl Drop for Twin {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Twin {
    pub(crate) fn of(model: &Path) -> Result<Self> {
        let name = model.file_stem().unwrap_or_default().to_string_lossy();
        let unique = format!("golden-twin-{}-{name}.gguf", std::process::id());
        let twin = Self { path: std::env::temp_dir().join(unique) };
        derive(model, &twin.path)?;
        Ok(twin)
    }

    /// Of the whole file: the same weights and metadata give the same bytes.
    pub(crate) fn digest(&self) -> Result<String> {
        Ok(sha256(&std::fs::read(&self.path)?))
    }
}

/// Owns what `gguf_init_from_file` makes.
struct Source {
    gguf: *mut sys::gguf_context,
    tensors: *mut sys::ggml_context,
}

impl Drop for Source {
    fn drop(&mut self) {
        // SAFETY: both were made together and are freed once.
        unsafe {
            sys::gguf_free(self.gguf);
            sys::ggml_free(self.tensors);
        }
    }
}

fn derive(model: &Path, twin: &Path) -> Result<()> {
    let path = CString::new(model.to_str().ok_or("path is no UTF-8")?)?;
    let mut tensors = std::ptr::null_mut();
    let parameters = sys::gguf_init_params { no_alloc: false, ctx: &mut tensors };
    // SAFETY: the path is a C string, and `tensors` outlives the call.
    let gguf = unsafe { sys::gguf_init_from_file(path.as_ptr(), parameters) };
    if gguf.is_null() {
        return Err(format!("ggml cannot read {}", model.display()).into());
    }
    let source = Source { gguf, tensors };
    // SAFETY: contexts live until the end of the block; tensors that are added hold pointers into
    // `decoded` or `source`, which live until after the file is written.
    unsafe {
        if sys::gguf_find_key(source.gguf, c"split.count".as_ptr()) >= 0 {
            return Err("a split file has no twin: merge it first".into());
        }
        let target = sys::gguf_init_empty();
        sys::gguf_set_kv(target, source.gguf);
        sys::gguf_set_val_u32(target, c"general.file_type".as_ptr(), 0);
        let mut decoded = Vec::new();
        let added = (0..sys::gguf_get_n_tensors(source.gguf)).try_for_each(|index| {
            let name = sys::gguf_get_tensor_name(source.gguf, index);
            let tensor = &*sys::ggml_get_tensor(source.tensors, name);
            let mut copy = *tensor;
            if let Some(values) = decode(tensor)? {
                decoded.push(values);
                copy.type_ = sys::GGML_TYPE_F32;
                copy.data = decoded.last_mut().ok_or("no values")?.as_mut_ptr().cast();
                copy.nb[0] = 4;
                copy.nb[1] = 4 * usize::try_from(copy.ne[0])?;
                copy.nb[2] = copy.nb[1] * usize::try_from(copy.ne[1])?;
                copy.nb[3] = copy.nb[2] * usize::try_from(copy.ne[2])?;
            }
            sys::gguf_add_tensor(target, &copy);
            Ok::<(), Box<dyn std::error::Error>>(())
        });
        let path = CString::new(twin.to_str().ok_or("path is no UTF-8")?)?;
        let written = added.is_ok() && sys::gguf_write_to_file(target, path.as_ptr(), false);
        sys::gguf_free(target);
        added?;
        if !written {
            return Err(format!("cannot write {}", twin.display()).into());
        }
    }
    Ok(())
}

/// The values of a tensor; none where its type is left as it is.
fn decode(tensor: &sys::ggml_tensor) -> Result<Option<Vec<f32>>> {
    if tensor.type_ == sys::GGML_TYPE_F32 {
        return Ok(None);
    }
    // SAFETY: the tensor's type is one of ggml's, and its data holds `ggml_nelements` elements.
    unsafe {
        let traits = &*sys::ggml_get_type_traits(tensor.type_);
        let Some(to_float) = traits.to_float else {
            let name = CStr::from_ptr(traits.type_name).to_string_lossy();
            return if traits.is_quantized {
                Err(format!("no decoder of {name}").into())
            } else {
                Ok(None)
            };
        };
        let count = sys::ggml_nelements(tensor);
        let mut values = vec![0.0f32; usize::try_from(count)?];
        to_float(tensor.data, values.as_mut_ptr(), count);
        Ok(Some(values))
    }
}

//! llama.cpp's tokeniser through its C interface. Knows vocabularies, nothing of weights.

use crate::Result;
use llama_cpp_sys_2 as sys;
use std::ffi::CString;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::Once;

static BACKEND: Once = Once::new();

/// A vocabulary-only model.
pub(crate) struct Vocabulary {
    model: NonNull<sys::llama_model>,
}

/// Tells nothing: a recording's output is its file.
unsafe extern "C" fn silent(
    _: sys::ggml_log_level,
    _: *const std::ffi::c_char,
    _: *mut std::ffi::c_void,
) {
}

impl Vocabulary {
    pub(crate) fn load(path: &Path) -> Result<Self> {
        BACKEND.call_once(|| {
            // SAFETY: called once, before any other call that needs the backend.
            unsafe {
                sys::llama_log_set(Some(silent), std::ptr::null_mut());
                sys::llama_backend_init();
            }
        });
        let text = CString::new(path.to_str().ok_or("path is no UTF-8")?)?;
        // SAFETY: the path is a C string that outlives the call; the parameters are the defaults.
        let model = unsafe {
            let mut parameters = sys::llama_model_default_params();
            parameters.n_gpu_layers = 0;
            parameters.vocab_only = true;
            sys::llama_model_load_from_file(text.as_ptr(), parameters)
        };
        let model = NonNull::new(model);
        let model = model.ok_or_else(|| format!("llama.cpp refuses {}", path.display()))?;
        Ok(Self { model })
    }

    /// Ids of `text`; `special` turns the text of special tokens into their ids, `affixes` adds
    /// what the vocabulary wants in front and behind.
    pub(crate) fn tokenize(&self, text: &str, affixes: bool, special: bool) -> Result<Vec<i32>> {
        let mut ids = vec![0i32; text.len() + 8];
        let (length, room) = (i32::try_from(text.len())?, i32::try_from(ids.len())?);
        // SAFETY: the model lives as long as `self`; both buffers are as long as stated.
        let count = unsafe {
            let vocab = sys::llama_model_get_vocab(self.model.as_ptr());
            let (text, ids) = (text.as_ptr().cast(), ids.as_mut_ptr());
            sys::llama_tokenize(vocab, text, length, ids, room, affixes, special)
        };
        let count = usize::try_from(count).map_err(|_| format!("needs room for {} ids", -count))?;
        ids.truncate(count);
        Ok(ids)
    }
}

impl Drop for Vocabulary {
    fn drop(&mut self) {
        // SAFETY: loaded by us, freed once.
        unsafe { sys::llama_model_free(self.model.as_ptr()) }
    }
}

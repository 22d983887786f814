//! llama.cpp through its C interface: models, their vocabularies, and (in `session`) their forward
//! pass. Knows nothing of what is asked and where the answers go.

pub(crate) mod session;
pub(crate) mod taps;
pub(crate) mod twin;

use crate::Result;
use llama_cpp_sys_2 as sys;
use std::ffi::CString;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::Once;

static BACKEND: Once = Once::new();

/// A loaded file, with or without its weights.
pub(crate) struct Model {
    model: NonNull<sys::llama_model>,
}

/// Tells nothing: a recording's output is its file.
unsafe extern "C" fn silent(
    level: sys::ggml_log_level,
    text: *const std::ffi::c_char,
    _: *mut std::ffi::c_void,
) {
    if level == sys::GGML_LOG_LEVEL_ERROR && !text.is_null() {
        // SAFETY: llama.cpp hands over a C string that lives during the call.
        eprint!("llama.cpp: {}", unsafe { std::ffi::CStr::from_ptr(text) }.to_string_lossy());
    }
}

impl Model {
    /// Only what the tokeniser needs.
    pub(crate) fn vocabulary(path: &Path) -> Result<Self> {
        Self::open(path, true, false)
    }

    /// With weights, as they lie in the file.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        Self::open(path, false, false)
    }

    /// With weights in whatever order this build of llama.cpp computes fastest with.
    pub(crate) fn load_for_speed(path: &Path) -> Result<Self> {
        Self::open(path, false, true)
    }

    fn open(path: &Path, vocab_only: bool, repacked: bool) -> Result<Self> {
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
            parameters.vocab_only = vocab_only;
            parameters.use_extra_bufts = repacked;
            sys::llama_model_load_from_file(text.as_ptr(), parameters)
        };
        let model = NonNull::new(model);
        let model = model.ok_or_else(|| format!("llama.cpp refuses {}", path.display()))?;
        Ok(Self { model })
    }

    fn vocab(&self) -> *const sys::llama_vocab {
        // SAFETY: the model lives as long as `self`.
        unsafe { sys::llama_model_get_vocab(self.model.as_ptr()) }
    }

    pub(crate) fn n_vocab(&self) -> usize {
        // SAFETY: the vocabulary lives as long as the model.
        usize::try_from(unsafe { sys::llama_vocab_n_tokens(self.vocab()) }).unwrap_or(0)
    }

    /// Positions that the model was trained for.
    pub(crate) fn n_ctx_train(&self) -> usize {
        // SAFETY: the model lives as long as `self`.
        usize::try_from(unsafe { sys::llama_model_n_ctx_train(self.model.as_ptr()) }).unwrap_or(0)
    }

    /// A scalar of the file's metadata as text; none where the key is absent.
    pub(crate) fn metadata(&self, key: &str) -> Result<Option<String>> {
        let key = CString::new(key)?;
        let mut text = [0u8; 1024];
        // SAFETY: the buffer is as long as stated and gets a terminated string.
        let length = unsafe {
            let (model, room) = (self.model.as_ptr(), text.len());
            sys::llama_model_meta_val_str(model, key.as_ptr(), text.as_mut_ptr().cast(), room)
        };
        let Ok(length) = usize::try_from(length) else { return Ok(None) };
        let text = text.get(..length).ok_or("a value of more than 1023 bytes")?;
        Ok(Some(String::from_utf8(text.to_vec())?))
    }

    /// The token that `add_special` puts in front; none where the vocabulary asks for none.
    pub(crate) fn bos_in_front(&self) -> Option<i32> {
        // SAFETY: the vocabulary lives as long as the model.
        unsafe {
            sys::llama_vocab_get_add_bos(self.vocab()).then(|| sys::llama_vocab_bos(self.vocab()))
        }
    }

    /// Whether a generation ends with this token.
    pub(crate) fn ends(&self, id: i32) -> bool {
        // SAFETY: the vocabulary lives as long as the model.
        unsafe { sys::llama_vocab_is_eog(self.vocab(), id) }
    }

    /// Ids of `text`; `special` turns the text of special tokens into their ids, `affixes` adds
    /// what the vocabulary wants in front and behind.
    pub(crate) fn tokenize(&self, text: &str, affixes: bool, special: bool) -> Result<Vec<i32>> {
        let mut ids = vec![0i32; text.len() + 8];
        let (length, room) = (i32::try_from(text.len())?, i32::try_from(ids.len())?);
        // SAFETY: the vocabulary lives as long as `self`; both buffers are as long as stated.
        let count = unsafe {
            let (text, ids) = (text.as_ptr().cast(), ids.as_mut_ptr());
            sys::llama_tokenize(self.vocab(), text, length, ids, room, affixes, special)
        };
        let count = usize::try_from(count).map_err(|_| format!("needs room for {} ids", -count))?;
        ids.truncate(count);
        Ok(ids)
    }

    /// The text of ids, special tokens spelled out.
    pub(crate) fn text(&self, ids: &[i32]) -> Result<String> {
        let mut text = vec![0u8; 64 + 64 * ids.len()];
        let (count, room) = (i32::try_from(ids.len())?, i32::try_from(text.len())?);
        // SAFETY: both buffers are as long as stated.
        let length = unsafe {
            let (ids, into) = (ids.as_ptr(), text.as_mut_ptr().cast());
            sys::llama_detokenize(self.vocab(), ids, count, into, room, false, true)
        };
        let length = usize::try_from(length).map_err(|_| format!("needs {} bytes", -length))?;
        Ok(String::from_utf8_lossy(&text[..length]).into_owned())
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        // SAFETY: loaded by us, freed once.
        unsafe { sys::llama_model_free(self.model.as_ptr()) }
    }
}

//! The `tokenizers` crate, for what our own encoders do not do. A file can make it slow (a regular
//! expression that backtracks) or break it off, so it runs on a thread of its own, for texts of
//! bounded length and for bounded time. Knows nothing of the file's parts.

use super::bad_vocab;
use crate::error::{Error, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// Longest text: some 300,000 tokens, more than any context such a file comes with.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// A mebibyte takes the crate about a second with an ordinary expression.
const TIME_MAX: Duration = Duration::from_secs(30);

/// The encoder. One for trusted text and one for text whose special tokens are text.
#[derive(Debug)]
pub(crate) struct Foreign {
    trusted: Arc<Inner>,
    untrusted: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    tokenizer: tokenizers::Tokenizer,
    /// Calls that ran out of time and still run; until they end there is no other.
    overrun: AtomicI64,
}

impl Foreign {
    /// The crate reads the file for itself.
    pub(super) fn new(bytes: &[u8]) -> Result<Self> {
        let read = || tokenizers::Tokenizer::from_bytes(bytes);
        let trusted = match catch_unwind(AssertUnwindSafe(read)) {
            Ok(Ok(tokenizer)) => tokenizer,
            Ok(Err(error)) => return Err(bad_vocab("file", format!("tokenizers: {error}"))),
            Err(_) => return Err(bad_vocab("file", "tokenizers broke off reading it".into())),
        };
        let mut untrusted = trusted.clone();
        untrusted.set_encode_special_tokens(true);
        let inner = |tokenizer| Arc::new(Inner { tokenizer, overrun: AtomicI64::new(0) });
        Ok(Foreign { trusted: inner(trusted), untrusted: inner(untrusted) })
    }

    /// Appends the ids of a whole text, special tokens included where it is trusted.
    pub(crate) fn encode(&self, text: &[u8], trusted: bool, out: &mut Vec<u32>) -> Result<()> {
        let inner = if trusted { &self.trusted } else { &self.untrusted };
        if text.len() > TEXT_BYTES_MAX {
            return Err(Error::Usage(format!(
                "a text of {} bytes; with this tokenizer.json at most {TEXT_BYTES_MAX} are encoded",
                text.len()
            )));
        }
        if inner.overrun.load(Ordering::Acquire) > 0 {
            return Err(Error::Usage("an earlier text is still being encoded".into()));
        }
        let text = String::from_utf8_lossy(text).into_owned();
        out.extend(inner.on_thread(text)?);
        Ok(())
    }
}

impl Inner {
    fn on_thread(self: &Arc<Self>, text: String) -> Result<Vec<u32>> {
        let (answer, answered) = mpsc::channel();
        // Set by whichever side is first: the thread when it is done, or we when time is over.
        let settled = Arc::new(AtomicBool::new(false));
        let bytes = text.len();
        let work = {
            let (inner, settled) = (Arc::clone(self), Arc::clone(&settled));
            move || {
                let encode = || inner.tokenizer.encode(text, false);
                let ids = match catch_unwind(AssertUnwindSafe(encode)) {
                    Ok(Ok(encoding)) => Ok(encoding.get_ids().to_vec()),
                    Ok(Err(error)) => Err(error.to_string()),
                    Err(_) => Err("broke off".into()),
                };
                // Nobody listens any more if the time was over.
                let _ = answer.send(ids);
                if settled.swap(true, Ordering::AcqRel) {
                    inner.overrun.fetch_sub(1, Ordering::AcqRel);
                }
            }
        };
        let thread = std::thread::Builder::new().name("hf-json".into());
        thread.spawn(work).map_err(|error| Error::Usage(format!("no thread: {error}")))?;
        if let Ok(ids) = answered.recv_timeout(TIME_MAX) {
            return ids.map_err(|error| Error::Usage(format!("tokenizers: {error}")));
        }
        if !settled.swap(true, Ordering::AcqRel) {
            self.overrun.fetch_add(1, Ordering::AcqRel);
        }
        let seconds = TIME_MAX.as_secs();
        Err(Error::Usage(format!(
            "encoding {bytes} bytes took more than {seconds} s with this tokenizer.json"
        )))
    }
}

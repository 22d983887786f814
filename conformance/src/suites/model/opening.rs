//! A model opened all the way: container, vocabulary, description, tensors, data. What any command
//! does in part, done whole and watched. Knows the order, not what may be wrong.

use engine::error::Result;
use engine::loader::{Gguf, check};
use engine::model;
use engine::profile::Profile;
use engine::tokenizer::{EncodeOptions, Options, Tokenizer};
use std::num::NonZeroUsize;
use std::path::Path;

/// Opens a model and encodes a text with it.
pub(super) fn whole(path: &Path) -> Result<()> {
    let file = Gguf::open(path)?;
    let metadata = file.metadata();
    model::describe(&file, Profile::Reference)?;
    if metadata.opt_str("tokenizer.ggml.model")? != Some("no_vocab") {
        let tokenizer = Tokenizer::from_metadata(metadata, &Options::default())?;
        let ids = tokenizer.encode("A small text, and ünïcode.\n", EncodeOptions::TEXT)?;
        tokenizer.decode(&ids, true)?;
    }
    // A template that cannot be compiled leaves a model that completes texts.
    metadata.opt_str("tokenizer.chat_template")?;
    check::gguf(&file, NonZeroUsize::new(1))?;
    Ok(())
}

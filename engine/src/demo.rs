//! The model that is part of the program, so that every command works at once: a gpt-oss of 1.3 MB
//! that was trained on a little language of weather, seasons and haiku. Also a fixture of the
//! suite, where how it was made is told.

use crate::error::Result;
use crate::loader::Gguf;
use crate::loader::map::Mapped;

/// What it is called in messages, where a file would have its path.
pub const NAME: &str = "the built-in demo model";

/// Tensors are read in place, so the bytes stand where a mapped file's would.
#[repr(align(64))]
struct Aligned<Bytes: ?Sized>(Bytes);

static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!("../../golden/models/gpt-oss.gguf"));

/// Opens it, with the same proofs as a file.
pub fn open() -> Result<Gguf> {
    Gguf::of(Mapped::of_program(NAME, &MODEL.0))
}

//! Looks through tensor data for numbers that are not numbers, before a model computes with them.
//! Knows pieces of tensors and how to share them among threads; what a block may hold is the
//! format's own knowledge ([`Format::check`]).

use super::{Gguf, SafeTensors};
use crate::error::{Class, Error, Named, Result};
use crate::quant::Format;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// About how much one thread looks through before it asks for more work.
const PIECE_BYTES: usize = 4 << 20;

/// Some tensor data to look through.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Name of the tensor.
    pub name: &'a str,
    /// Its format.
    pub format: &'static Format,
    /// Its data.
    pub data: &'a [u8],
    /// Where the data is in its file.
    pub start: u64,
    /// That file.
    pub file: &'a Path,
}

/// What was looked through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scanned {
    /// Tensors that can hold something that is not a number.
    pub tensors: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Looks through all tensors of a file and then asks whether the file is still the same.
pub fn gguf(file: &Gguf, threads: Option<NonZeroUsize>) -> Result<Scanned> {
    let subjects = file.tensors().iter().map(|info| Subject {
        name: &info.name,
        format: info.format,
        data: file.view(info).data,
        start: info.file_range().start,
        file: file.parts()[usize::from(info.part)].path(),
    });
    let found = scan(subjects, threads);
    file.verify_unchanged()?;
    found
}

/// The same for safetensors: tensors of floats, and the scales of MXFP4 pairs.
pub fn safetensors(file: &SafeTensors, threads: Option<NonZeroUsize>) -> Result<Scanned> {
    let subjects = file.tensors().iter().filter_map(|info| {
        let (data, start) = (file.view(info).data, file.file_range(info).start);
        let format = info.dtype.format()?;
        Some(Subject { name: &info.name, format, data, start, file: file.path() })
    });
    let found = scan(subjects, threads).and_then(|scanned| {
        file.mxfp4()?.into_iter().try_fold(scanned, |scanned, pair| {
            if let Some(block) = pair.scales.iter().position(|scale| *scale == u8::MAX) {
                let detail = format!("scale {block} of its MXFP4 scales is 0xff, an E8M0 NaN");
                let place = Named("tensor", pair.name).to_string();
                return Err(Error::refused(Class::NonFinite, place, detail).in_file(file.path()));
            }
            let bytes = scanned.bytes + pair.scales.len() as u64;
            Ok(Scanned { tensors: scanned.tensors + 1, bytes })
        })
    });
    file.verify_unchanged()?;
    found
}

/// Refuses the first number, in the order given, that is not one. `threads` defaults to as many as
/// the machine has; the answer does not depend on them.
pub fn scan<'a>(
    subjects: impl IntoIterator<Item = Subject<'a>>,
    threads: Option<NonZeroUsize>,
) -> Result<Scanned> {
    let mut scanned = Scanned::default();
    let mut pieces = Vec::new();
    for subject in subjects.into_iter().filter(|subject| !subject.format.floats.is_empty()) {
        scanned.tensors += 1;
        scanned.bytes += subject.data.len() as u64;
        pieces.extend(cut(subject));
    }
    match first_defect(&pieces, threads) {
        Some(refusal) => Err(refusal),
        None => Ok(scanned),
    }
}

/// Part of a tensor, in whole blocks.
struct Piece<'a> {
    subject: Subject<'a>,
    /// First byte within the tensor.
    at: usize,
    data: &'a [u8],
}

fn cut<'a>(subject: Subject<'a>) -> impl Iterator<Item = Piece<'a>> {
    let block_bytes = subject.format.block_bytes;
    let length = (PIECE_BYTES / block_bytes).max(1) * block_bytes;
    let pieces = subject.data.chunks(length).enumerate();
    pieces.map(move |(index, data)| Piece { subject, at: index * length, data })
}

/// Pieces are handed out in order and all handed-out pieces are finished, so the defect with the
/// lowest index is the first in the file, whoever finds it.
fn first_defect(pieces: &[Piece], threads: Option<NonZeroUsize>) -> Option<Error> {
    let available = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = threads.map_or_else(available, NonZeroUsize::get).min(pieces.len());
    let next = AtomicUsize::new(0);
    let first: Mutex<Option<(usize, Error)>> = Mutex::new(None);
    let work = || loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        let Some(piece) = pieces.get(index) else { break };
        if let Some(refusal) = judge(piece) {
            next.store(pieces.len(), Ordering::Relaxed);
            let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
            if first.as_ref().is_none_or(|(before, _)| index < *before) {
                *first = Some((index, refusal));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            // A machine out of threads still has this one.
            let _ = std::thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    first.into_inner().unwrap_or_else(PoisonError::into_inner).map(|(_, refusal)| refusal)
}

fn judge(piece: &Piece) -> Option<Error> {
    let Subject { name, format, start, .. } = piece.subject;
    let defect = format.check(piece.data).err()?;
    let block = piece.at / format.block_bytes + defect.block;
    let byte = start + (block * format.block_bytes + defect.byte) as u64;
    let detail = format!(
        "block {block} of {} holds {}: {:#x} at byte {byte} of the file",
        format.name, defect.what, defect.bits
    );
    let refusal = Error::refused(Class::NonFinite, Named("tensor", name).to_string(), detail);
    Some(refusal.in_file(piece.subject.file))
}

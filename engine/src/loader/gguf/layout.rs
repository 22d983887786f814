//! The layout proof: from the bytes of a file to tensors whose every byte is known to be inside it.
//! `lay_out` is the only place in the engine that computes an offset. Pure: knows bytes, opens
//! nothing.

use super::cursor::Cursor;
use super::hint::hint;
use super::metadata::Metadata;
use super::tensor::{self, TensorInfo};
use crate::error::{Class, Error, Result, shown};
use crate::loader::names::NameIndex;
use std::fmt::{self, Display};

/// Larger than any page or disk block; more would only hide gaps in a file.
pub const MAX_ALIGNMENT: u32 = 1 << 20;
/// The format's alignment where the file names none.
pub const DEFAULT_ALIGNMENT: u32 = 32;
/// File positions are signed 64-bit numbers everywhere.
pub(super) const MAX_POSITION: u64 = i64::MAX as u64;

/// Something odd that does not stop us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Machine-readable kind.
    pub class: Class,
    /// Key, tensor, or byte offset.
    pub place: String,
    /// What was found, with the numbers.
    pub detail: String,
}

impl Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.class, self.place, self.detail)
    }
}

/// What a GGUF file holds, proven.
#[derive(Debug, Clone)]
pub struct Layout {
    /// 2 or 3.
    pub version: u32,
    /// Of tensor data, in bytes.
    pub alignment: u32,
    /// Keys and values.
    pub metadata: Metadata,
    /// In file order.
    pub tensors: Vec<TensorInfo>,
    /// Odd but harmless.
    pub warnings: Vec<Warning>,
    /// Where the data section begins.
    pub data_start: u64,
    pub(super) index: NameIndex,
}

impl Layout {
    /// Reads and proves a whole file.
    pub fn parse(bytes: &[u8]) -> Result<Layout> {
        Layout::parse_head(bytes, bytes.len() as u64)
    }

    /// Like [`Layout::parse`], when only the first bytes of a file of `size` bytes are at hand.
    pub fn parse_head(head: &[u8], size: u64) -> Result<Layout> {
        let mut cursor = Cursor::new(head);
        let header = read_header(&mut cursor, head)?;
        let metadata = Metadata::read(&mut cursor, header.keys)?;
        let alignment = alignment_of(&metadata)?;
        let (mut tensors, index) = tensor::read_infos(&mut cursor, header.tensors)?;
        let infos_end = cursor.at();
        let data_start = padded(infos_end, alignment);
        lay_out(&mut tensors, alignment, data_start, size)?;
        let gaps = Gaps::find(head, infos_end, alignment, &tensors);
        let warnings = gaps.warning().into_iter().collect();
        let version = header.version;
        Ok(Layout { version, alignment, metadata, tensors, warnings, data_start, index })
    }

    /// The tensor named `name`.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.position(name).map(|at| &self.tensors[at])
    }

    /// The place of the tensor named `name` in `tensors`.
    pub fn position(&self, name: &str) -> Option<usize> {
        let known = |at: u32| self.tensors[at as usize].name.as_bytes();
        self.index.find(name.as_bytes(), known).map(|at| at as usize)
    }
}

struct Header {
    version: u32,
    tensors: u64,
    keys: u64,
}

fn read_header(cursor: &mut Cursor, head: &[u8]) -> Result<Header> {
    const MAGIC: &[u8] = b"GGUF";
    let present = &head[..head.len().min(4)];
    if present.is_empty() || !MAGIC.starts_with(present) {
        let detail = format!("wanted \"GGUF\", found {}{}", shown(present), hint(head));
        return Err(Error::refused(Class::BadMagic, "header at byte 0", detail));
    }
    cursor.take(4, &"magic")?;
    let version: u32 = cursor.number(&"version")?;
    if !(2..=3).contains(&version) {
        let advice = match version {
            1 => "; version 1 is obsolete: convert the model again",
            _ if matches!(version.swap_bytes(), 1..=9) => {
                "; it looks like a big-endian GGUF file: convert it to little-endian"
            }
            _ => "",
        };
        let detail = format!("version {version} ({version:#x}), we read 2 and 3{advice}");
        return Err(Error::refused(Class::BadVersion, "header at byte 4", detail));
    }
    let tensors = cursor.number(&"number of tensors")?;
    let keys = cursor.number(&"number of metadata entries")?;
    check_count("tensors", tensors, tensor::MIN_INFO, cursor.left(), 8)?;
    Metadata::check_count(keys, cursor.left())?;
    Ok(Header { version, tensors, keys })
}

/// Refuses a count that the rest of the file cannot hold. A count of one is never out of range:
/// if even one item does not fit, the file is cut, and the item's own message says where.
pub(super) fn check_count(what: &str, count: u64, min: u64, left: u64, at: u64) -> Result<()> {
    if count > 1 && count.checked_mul(min).is_none_or(|bytes| bytes > left) {
        let detail = format!(
            "{count} ({count:#x}) {what} of at least {min} bytes each, but {left} bytes are left"
        );
        return Err(Error::refused(Class::CountOutOfRange, format!("header at byte {at}"), detail));
    }
    Ok(())
}

pub(super) fn alignment_of(metadata: &Metadata) -> Result<u32> {
    let alignment = metadata.opt_u32("general.alignment")?.unwrap_or(DEFAULT_ALIGNMENT);
    if !alignment.is_power_of_two() || alignment > MAX_ALIGNMENT {
        let detail = format!("{alignment}, wanted a power of two up to {MAX_ALIGNMENT}");
        return Err(Error::refused(Class::BadAlignment, "key \"general.alignment\"", detail));
    }
    Ok(alignment)
}

/// `position` rounded up to the alignment.
pub(super) fn padded(position: u64, alignment: u32) -> u64 {
    // Positions stay below 2^63 and alignments below 2^21, so this cannot overflow.
    position.next_multiple_of(u64::from(alignment))
}

/// Puts one tensor behind the other, each padded to the alignment.
pub(super) struct Placer {
    pub(super) next: u64,
    pub(super) alignment: u32,
}

impl Placer {
    /// Where `bytes` of data go; `None` beyond the largest file position.
    pub(super) fn place(&mut self, bytes: u64) -> Option<u64> {
        let start = self.next;
        let end = start.checked_add(bytes).filter(|end| *end <= MAX_POSITION)?;
        self.next = Some(padded(end, self.alignment)).filter(|end| *end <= MAX_POSITION)?;
        Some(start)
    }
}

/// The one pass of offset arithmetic. Tensors follow each other in file order, each padded to the
/// alignment, without gaps; the file holds all of them, the last padding included. (ggml reads the
/// data section as a whole, padding and all, so a file without it does not load there either.)
fn lay_out(tensors: &mut [TensorInfo], alignment: u32, data_start: u64, size: u64) -> Result<()> {
    let mut placer = Placer { next: data_start, alignment };
    let count = tensors.len();
    for (number, tensor) in tensors.iter_mut().enumerate() {
        let (offset, next) = (tensor.offset, placer.next);
        let wanted = next - data_start;
        let refuse = |class, detail| {
            let place = format!("{} ({number} of {count})", tensor.place());
            Err(Error::refused(class, place, detail))
        };
        if offset != wanted {
            let detail = format!(
                "offset {offset} ({offset:#x}), wanted {wanted}: the end of the tensor before, \
                 padded to alignment {alignment}"
            );
            return refuse(Class::BadOffset, detail);
        }
        let Some(start) = placer.place(tensor.bytes) else {
            let bytes = tensor.bytes;
            let detail = format!("{bytes} bytes from byte {next} end beyond 2^63 - 1");
            return refuse(Class::SizeOverflow, detail);
        };
        tensor.start = start;
    }
    let next = placer.next;
    match tensors.iter().find(|tensor| padded(tensor.start + tensor.bytes, alignment) > size) {
        None => Ok(()),
        Some(cut) => {
            let range = cut.file_range();
            let detail = format!(
                "needs bytes {} to {} of the file, which has {size}; with all tensors it would \
                 have {next}",
                range.start,
                padded(range.end, alignment)
            );
            Err(Error::refused(Class::Truncated, cut.place(), detail))
        }
    }
}

/// The padding between the parts of a file: should be zero, hides data when it is not.
#[derive(Default)]
struct Gaps {
    dirty: u64,
    first: Option<(u64, u8)>,
}

impl Gaps {
    fn find(head: &[u8], infos_end: u64, alignment: u32, tensors: &[TensorInfo]) -> Gaps {
        let mut gaps = Gaps::default();
        if !tensors.is_empty() {
            gaps.look(head, infos_end, alignment);
        }
        for tensor in tensors {
            gaps.look(head, tensor.start + tensor.bytes, alignment);
        }
        gaps
    }

    /// Looks at the padding from byte `from`, as far as it is at hand.
    fn look(&mut self, head: &[u8], from: u64, alignment: u32) {
        let end = (padded(from, alignment) as usize).min(head.len());
        let gap = head.get(from as usize..end).unwrap_or_default();
        if let Some(at) = gap.iter().position(|byte| *byte != 0) {
            self.dirty += 1;
            self.first.get_or_insert((from + at as u64, gap[at]));
        }
    }

    fn warning(self) -> Option<Warning> {
        let (at, byte) = self.first?;
        let detail = format!("found {byte:#04x}; {} stretches of padding are not zero", self.dirty);
        Some(Warning { class: Class::NonZeroPad, place: format!("padding at byte {at}"), detail })
    }
}

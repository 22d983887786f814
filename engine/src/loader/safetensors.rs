//! safetensors files: a length, a JSON object, the data. The same discipline as for GGUF: one pass
//! proves that every tensor lies inside the file, that tensors do not overlap and leave no gaps,
//! and nothing is read before. Shapes are kept as the file has them, slowest dimension first.

mod header;
mod mxfp4;

pub use mxfp4::Mxfp4;

use super::map::Mapped;
use super::names::NameIndex;
use crate::error::{Class, Error, Named, Result, shown};
use crate::quant::{self, Format};
use header::Entry;
use std::ops::Range;
use std::path::Path;

/// The limit of the reference implementation for the JSON header.
pub const MAX_HEADER: u64 = 100_000_000;
/// More dimensions than any model has.
pub const MAX_DIMS: usize = 8;
const MAX_POSITION: u64 = i64::MAX as u64;

/// An element type as safetensors spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dtype {
    /// Name in the file.
    pub name: &'static str,
    /// Bits of one element.
    pub bits: u64,
}

/// Every element type that a safetensors file may hold.
pub static DTYPES: &[Dtype] = &[
    Dtype { name: "BOOL", bits: 8 },
    Dtype { name: "F4", bits: 4 },
    Dtype { name: "F6_E2M3", bits: 6 },
    Dtype { name: "F6_E3M2", bits: 6 },
    Dtype { name: "U8", bits: 8 },
    Dtype { name: "I8", bits: 8 },
    Dtype { name: "F8_E5M2", bits: 8 },
    Dtype { name: "F8_E4M3", bits: 8 },
    Dtype { name: "F8_E8M0", bits: 8 },
    Dtype { name: "I16", bits: 16 },
    Dtype { name: "U16", bits: 16 },
    Dtype { name: "F16", bits: 16 },
    Dtype { name: "BF16", bits: 16 },
    Dtype { name: "I32", bits: 32 },
    Dtype { name: "U32", bits: 32 },
    Dtype { name: "F32", bits: 32 },
    Dtype { name: "C64", bits: 64 },
    Dtype { name: "F64", bits: 64 },
    Dtype { name: "I64", bits: 64 },
    Dtype { name: "U64", bits: 64 },
];

impl Dtype {
    /// The block format with the same bytes, if there is one.
    pub fn format(&self) -> Option<&'static Format> {
        quant::by_name(self.name)
    }
}

/// A tensor that is proven to lie inside its file.
#[derive(Debug, Clone)]
pub struct Info {
    /// Unique in the file.
    pub name: String,
    /// Element type.
    pub dtype: &'static Dtype,
    /// Dimensions, slowest first. One of them may be 0.
    pub shape: Vec<u64>,
    /// Where the data is, from the end of the header.
    pub offset: u64,
    /// How much data.
    pub bytes: u64,
}

/// What a safetensors file holds, proven.
#[derive(Debug, Clone)]
pub struct Layout {
    /// `__metadata__`, in file order.
    pub metadata: Vec<(String, String)>,
    /// In the order of their data.
    pub tensors: Vec<Info>,
    /// Where the data begins.
    pub data_start: u64,
    index: NameIndex,
}

impl Layout {
    /// Reads and proves a whole file.
    pub fn parse(bytes: &[u8]) -> Result<Layout> {
        let json = header_of(bytes)?;
        let data_start = 8 + json.len() as u64;
        let header = header::parse(json)?;
        let mut tensors = Vec::with_capacity(header.tensors.len());
        for entry in header.tensors {
            tensors.push(describe(entry)?);
        }
        lay_out(&mut tensors, bytes.len() as u64 - data_start)?;
        let mut index = NameIndex::with_capacity(tensors.len());
        for (position, tensor) in tensors.iter().enumerate() {
            let name_at = |at: u32| tensors[at as usize].name.as_bytes();
            if index.insert(tensor.name.as_bytes(), position as u32, name_at).is_err() {
                let detail = "two tensors have this name";
                return Err(refused(Class::DuplicateName, &tensor.name, detail.into()));
            }
        }
        Ok(Layout { metadata: header.metadata, tensors, data_start, index })
    }

    /// The tensor named `name`.
    pub fn tensor(&self, name: &str) -> Option<&Info> {
        let at =
            self.index.find(name.as_bytes(), |at| self.tensors[at as usize].name.as_bytes())?;
        Some(&self.tensors[at as usize])
    }
}

/// Whether a file begins like safetensors.
pub fn looks_like(bytes: &[u8]) -> bool {
    bytes.get(8) == Some(&b'{') && bytes[4..8] == [0; 4]
}

fn header_of(bytes: &[u8]) -> Result<&[u8]> {
    let place = "header at byte 0";
    let size = bytes.len();
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        let detail = format!("needs 8 bytes for its length, but the file has {size}");
        return Err(Error::refused(Class::Truncated, place, detail));
    };
    let length = u64::from_le_bytes(*length);
    if rest.first().is_some_and(|first| *first != b'{') {
        let detail = format!("wanted '{{' at byte 8, found {}", shown(&rest[..1]));
        return Err(Error::refused(Class::BadMagic, place, detail));
    }
    if length > MAX_HEADER {
        let detail = format!("length {length} ({length:#x}), the limit is {MAX_HEADER}");
        return Err(Error::refused(Class::StringTooLong, place, detail));
    }
    rest.get(..length as usize).ok_or_else(|| {
        let detail = format!("length {length}, but {} bytes are left of {size}", rest.len());
        Error::refused(Class::Truncated, place, detail)
    })
}

/// An entry with its arithmetic checked: what it is and how many bytes that makes.
fn describe(entry: Entry) -> Result<Info> {
    let Entry { name, dtype, shape, data_offsets: [start, end] } = entry;
    let refuse = |class, detail| Err(refused(class, &name, detail));
    if name.is_empty() {
        return refuse(Class::EmptyName, "the name is empty".into());
    }
    if name.contains('\0') {
        return refuse(Class::InvalidName, "the name contains a NUL byte".into());
    }
    let Some(known) = DTYPES.iter().find(|known| known.name == dtype) else {
        return refuse(Class::BadType, format!("dtype {} is unknown", shown(&dtype)));
    };
    if shape.len() > MAX_DIMS {
        let detail = format!("{} dimensions, the limit is {MAX_DIMS}", shape.len());
        return refuse(Class::BadNDims, detail);
    }
    let bits = shape.iter().try_fold(known.bits, |bits, dim| bits.checked_mul(*dim));
    let Some(bits) = bits.filter(|bits| *bits <= MAX_POSITION) else {
        let detail = format!("shape {shape:?} of {}: more than 2^63 - 1 bits", known.name);
        return refuse(Class::ShapeOverflow, detail);
    };
    if bits % 8 != 0 {
        let detail = format!("shape {shape:?} of {}: {bits} bits are no whole bytes", known.name);
        return refuse(Class::BadBlock, detail);
    }
    let bytes = bits / 8;
    if end.checked_sub(start) != Some(bytes) {
        let detail = format!(
            "data_offsets [{start}, {end}], but shape {shape:?} of {} has {bytes} bytes",
            known.name
        );
        return refuse(Class::BadOffset, detail);
    }
    Ok(Info { name, dtype: known, shape, offset: start, bytes })
}

/// Orders tensors by their data and proves that together they are the data section.
fn lay_out(tensors: &mut [Info], size: u64) -> Result<()> {
    tensors.sort_by_key(|tensor| (tensor.offset, tensor.bytes));
    let mut next = 0;
    for tensor in tensors.iter() {
        if tensor.offset != next {
            let detail = format!("offset {}, but the tensor before ends at {next}", tensor.offset);
            return Err(refused(Class::BadOffset, &tensor.name, detail));
        }
        // `describe` has proven that this sum is the file's own end offset.
        next = tensor.offset + tensor.bytes;
        if next > size {
            let detail = format!("ends at byte {next} of the data, which has {size}");
            return Err(refused(Class::Truncated, &tensor.name, detail));
        }
    }
    if next < size {
        let detail = format!("{} bytes after byte {next} belong to no tensor", size - next);
        return Err(Error::refused(Class::BadOffset, "end of data", detail));
    }
    Ok(())
}

fn refused(class: Class, name: &str, detail: String) -> Error {
    Error::refused(class, Named("tensor", name).to_string(), detail)
}

/// An open safetensors file.
#[derive(Debug)]
pub struct SafeTensors {
    layout: Layout,
    mapped: Mapped,
}

/// A tensor and its data.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// What it is.
    pub info: &'a Info,
    /// Its elements, row by row; exactly `info.bytes`.
    pub data: &'a [u8],
}

impl SafeTensors {
    /// Maps and proves a file.
    pub fn open(path: &Path) -> Result<SafeTensors> {
        SafeTensors::of(Mapped::open(path)?)
    }

    /// Proves a mapped file.
    pub fn of(mapped: Mapped) -> Result<SafeTensors> {
        let layout = Layout::parse(mapped.bytes()).map_err(|e| e.in_file(mapped.path()));
        mapped.verify_unchanged()?;
        Ok(SafeTensors { layout: layout?, mapped })
    }

    /// Everything but the data.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// All tensors, in the order of their data.
    pub fn tensors(&self) -> &[Info] {
        &self.layout.tensors
    }

    /// Where the file was found.
    pub fn path(&self) -> &Path {
        self.mapped.path()
    }

    /// The tensor named `name`.
    pub fn tensor(&self, name: &str) -> Option<View<'_>> {
        self.layout.tensor(name).map(|info| self.view(info))
    }

    /// Where a tensor's data is in the file.
    pub fn file_range(&self, info: &Info) -> Range<u64> {
        let start = self.layout.data_start + info.offset;
        start..start + info.bytes
    }

    /// The data of one of this file's tensors.
    pub fn view<'a>(&'a self, info: &'a Info) -> View<'a> {
        let range = self.file_range(info);
        let bytes = self.mapped.bytes().get(range.start as usize..range.end as usize);
        View { info, data: bytes.unwrap_or_default() }
    }

    /// Refuses a file that changed since it was opened; see [`super::map`].
    pub fn verify_unchanged(&self) -> Result<()> {
        self.mapped.verify_unchanged()
    }
}

//! Tensors as a GGUF file describes them: name, format, shape, and how many bytes that makes.
//! Where the bytes are is `layout`'s business.

use super::cursor::Cursor;
use super::layout::MAX_POSITION;
use crate::error::{Class, Named, Result, shown};
use crate::loader::names::NameIndex;
use crate::quant::{self, Format};
use std::fmt::{self, Display};
use std::ops::{Deref, Range};

/// ggml's limit for a name (`GGML_MAX_NAME` less the final NUL).
pub const MAX_NAME: u64 = 63;
/// ggml's limit (`GGML_MAX_DIMS`).
pub const MAX_DIMS: u32 = 4;
/// Name length, name, number of dimensions, type, offset: a scalar with a name of one byte.
pub(super) const MIN_INFO: u64 = 8 + 1 + 4 + 4 + 8;

/// A tensor's dimensions, fastest first, as GGUF orders them. No dimensions is one element.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    dims: [u64; MAX_DIMS as usize],
    count: u8,
}

impl Shape {
    /// Up to four dimensions.
    pub fn new(dims: &[u64]) -> Option<Shape> {
        let mut shape = Shape { dims: [1; MAX_DIMS as usize], count: dims.len() as u8 };
        shape.dims.get_mut(..dims.len())?.copy_from_slice(dims);
        Some(shape)
    }
}

impl Deref for Shape {
    type Target = [u64];
    fn deref(&self) -> &[u64] {
        &self.dims[..self.count as usize]
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// A tensor that is proven to lie inside its file.
#[derive(Debug, Clone)]
pub struct TensorInfo {
    /// Unique in the model.
    pub name: String,
    /// Element format.
    pub format: &'static Format,
    /// Dimensions, fastest first.
    pub shape: Shape,
    /// Where the file says the data is: from the start of the data section.
    pub offset: u64,
    /// How much data.
    pub bytes: u64,
    /// The file that holds it: 0, except in split models.
    pub part: u16,
    /// Where the data is in that file; set by `lay_out`.
    pub(in crate::loader) start: u64,
}

impl TensorInfo {
    /// Number of elements.
    pub fn elements(&self) -> u64 {
        self.shape.iter().product()
    }

    /// Where the data is in its file.
    pub fn file_range(&self) -> Range<u64> {
        self.start..self.start + self.bytes
    }

    /// For messages: `tensor "name"`.
    pub fn place(&self) -> String {
        format!("tensor {}", shown(&self.name))
    }
}

/// Reads `count` tensor descriptions.
pub(super) fn read_infos(cursor: &mut Cursor, count: u64) -> Result<(Vec<TensorInfo>, NameIndex)> {
    let mut tensors: Vec<TensorInfo> = Vec::with_capacity(count as usize);
    let mut index = NameIndex::with_capacity(count as usize);
    for number in 0..count {
        let at = cursor.at();
        let name = read_name(cursor, &format_args!("tensor {number} of {count}"))?;
        let place = Named("tensor", &name);
        let known = |at: u32| tensors[at as usize].name.as_bytes();
        if let Err(first) = index.insert(name.as_bytes(), number as u32, known) {
            let detail = format!("tensor {number}, but tensor {first} has the same name");
            return Err(cursor.refuse(Class::DuplicateName, &place, at, detail));
        }
        let (shape, format, offset) = read_info(cursor, &place)?;
        let bytes = data_bytes(format, &shape)
            .map_err(|(class, detail)| cursor.refuse(class, &place, at, detail))?;
        tensors.push(TensorInfo { name, format, shape, offset, bytes, part: 0, start: 0 });
    }
    Ok((tensors, index))
}

fn read_name(cursor: &mut Cursor, what: &dyn Display) -> Result<String> {
    let at = cursor.at();
    let length: u64 = cursor.number(what)?;
    cursor.bounded(length, at, what)?;
    let problem = match length {
        0 => Some((Class::EmptyName, "the name is empty".to_string())),
        _ if length > MAX_NAME => Some((
            Class::NameTooLong,
            format!("the name has {length} bytes, the limit is {MAX_NAME}"),
        )),
        _ => None,
    };
    if let Some((class, detail)) = problem {
        return Err(cursor.refuse(class, what, at, detail));
    }
    // Copied before it is judged: a mapped file may change between two looks.
    let name = cursor.take(length, what)?.to_vec();
    let name = String::from_utf8(name).map_err(|bad| {
        let detail = format!("the name {} is not UTF-8", shown(bad.as_bytes()));
        cursor.refuse(Class::InvalidUtf8, what, at, detail)
    })?;
    if name.contains('\0') {
        let detail = format!("the name {} contains a NUL byte", shown(&name));
        return Err(cursor.refuse(Class::InvalidName, what, at, detail));
    }
    Ok(name)
}

fn read_info(cursor: &mut Cursor, what: &dyn Display) -> Result<(Shape, &'static Format, u64)> {
    let at = cursor.at();
    let count: u32 = cursor.number(what)?;
    if count > MAX_DIMS {
        let detail = format!("{count} dimensions, the limit is {MAX_DIMS}");
        return Err(cursor.refuse(Class::BadNDims, what, at, detail));
    }
    // A scalar (no dimensions) is one element, as in ggml.
    let mut shape = Shape { dims: [1; MAX_DIMS as usize], count: count as u8 };
    for dim in &mut shape.dims[..count as usize] {
        *dim = cursor.number(what)?;
    }
    let at = cursor.at();
    let id: u32 = cursor.number(what)?;
    let Some(format) = quant::by_id(id) else {
        let detail = format!("tensor type {id} ({id:#x}) is unknown or was removed from GGUF");
        return Err(cursor.refuse(Class::BadType, what, at, detail));
    };
    let offset = cursor.number(what)?;
    Ok((shape, format, offset))
}

/// How many bytes a tensor takes, or why no tensor is like this.
pub fn data_bytes(format: &Format, shape: &[u64]) -> Result<u64, (Class, String)> {
    let shown = || format!("shape {shape:?}");
    if let Some(dim) = shape.iter().find(|dim| **dim > MAX_POSITION) {
        let detail = format!("{}: dimension {dim} ({dim:#x}) is above 2^63 - 1", shown());
        return Err((Class::BadShape, detail));
    }
    if shape.contains(&0) {
        return Err((Class::ZeroDim, format!("{}: a dimension is 0", shown())));
    }
    let fits = |product: Option<u64>| product.filter(|product| *product <= MAX_POSITION);
    let row = shape.first().copied().unwrap_or(1);
    let rows = shape.iter().skip(1).try_fold(1u64, |rows, dim| fits(rows.checked_mul(*dim)));
    let overflow = |what| (Class::ShapeOverflow, format!("{}: more than 2^63 - 1 {what}", shown()));
    let rows = rows.filter(|rows| fits(rows.checked_mul(row)).is_some());
    let rows = rows.ok_or_else(|| overflow("elements"))?;
    let (length, bytes) = (format.block_len as u64, format.block_bytes as u64);
    if !row.is_multiple_of(length) {
        let detail =
            format!("{}: {} has blocks of {length}, a row has {row}", shown(), format.name);
        return Err((Class::BadBlock, detail));
    }
    let row_bytes = fits((row / length).checked_mul(bytes)).ok_or_else(|| {
        (
            Class::SizeOverflow,
            format!("{}: a row of {} is above 2^63 - 1 bytes", shown(), format.name),
        )
    })?;
    fits(row_bytes.checked_mul(rows)).ok_or_else(|| overflow("bytes"))
}

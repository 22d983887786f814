//! A second opinion on accepted files: walks the bytes again in 128-bit arithmetic and says where
//! every tensor must lie. Shares no code with the reader under test but the table of block sizes.
//! Judges only what was accepted; it has no error classes. The fuzz target includes this file.

use engine::loader::gguf::{Layout, Writer};
use engine::quant;

const DEFAULT_ALIGNMENT: u128 = 32;
const MAX_DIMENSIONS: u32 = 4;

/// What the bytes say about one tensor.
#[derive(Debug, PartialEq, Eq)]
pub struct Extent {
    /// Name as it stands in the file.
    pub name: Vec<u8>,
    /// Type id.
    pub type_id: u32,
    /// Dimensions in file order.
    pub shape: Vec<u64>,
    /// Offset as it stands in the file, from the start of the data.
    pub offset: u128,
    /// First byte, from the start of the file.
    pub start: u128,
    /// Bytes.
    pub size: u128,
}

/// What the bytes say.
#[derive(Debug, PartialEq, Eq)]
pub struct Walk {
    /// Bytes of header, metadata and infos.
    pub head_bytes: usize,
    /// The tensors in file order.
    pub tensors: Vec<Extent>,
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: u64) -> Option<&'a [u8]> {
        let end = self.at.checked_add(usize::try_from(count).ok()?)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let length = self.u64()?;
        self.take(length)
    }

    fn value(&mut self, kind: u32) -> Option<()> {
        let scalar_bytes = |kind| match kind {
            0 | 1 | 7 => Some(1),
            2 | 3 => Some(2),
            4..=6 => Some(4),
            10..=12 => Some(8),
            _ => None,
        };
        match kind {
            8 => self.string().map(|_| ()),
            9 => {
                let (element, count) = (self.u32()?, self.u64()?);
                match element {
                    8 => (0..count).try_for_each(|_| self.string().map(|_| ())),
                    _ => self.take(count.checked_mul(scalar_bytes(element)?)?).map(|_| ()),
                }
            }
            _ => self.take(scalar_bytes(kind)?).map(|_| ()),
        }
    }
}

/// Walks a file; nothing when it cannot be walked to the end of its infos.
pub fn walk(bytes: &[u8]) -> Option<Walk> {
    let mut cursor = Cursor { bytes, at: 0 };
    let (magic, version) = (cursor.take(4)?, cursor.u32()?);
    if magic != b"GGUF" || !(2..=3).contains(&version) {
        return None;
    }
    let (n_tensors, n_keys) = (cursor.u64()?, cursor.u64()?);
    let mut alignment = DEFAULT_ALIGNMENT;
    for _ in 0..n_keys {
        let (key, kind, start) = (cursor.string()?, cursor.u32()?, cursor.at);
        cursor.value(kind)?;
        if key == b"general.alignment" {
            alignment =
                u128::from(u32::from_le_bytes(bytes.get(start..start + 4)?.try_into().ok()?));
        }
    }
    let mut tensors = Vec::new();
    for _ in 0..n_tensors {
        tensors.push(extent(&mut cursor)?);
    }
    if alignment == 0 {
        return None;
    }
    let data = (cursor.at as u128).next_multiple_of(alignment);
    for tensor in &mut tensors {
        tensor.start = data + tensor.offset;
    }
    Some(Walk { head_bytes: cursor.at, tensors })
}

fn extent(cursor: &mut Cursor) -> Option<Extent> {
    let name = cursor.string()?.to_vec();
    let n_dimensions = cursor.u32().filter(|count| *count <= MAX_DIMENSIONS)?;
    let shape = (0..n_dimensions).map(|_| cursor.u64()).collect::<Option<Vec<u64>>>()?;
    let (type_id, offset) = (cursor.u32()?, u128::from(cursor.u64()?));
    let format = quant::by_id(type_id)?;
    let elements = shape.iter().try_fold(1u128, |all, dim| all.checked_mul((*dim).into()))?;
    let size = (elements / format.block_len as u128).checked_mul(format.block_bytes as u128)?;
    Some(Extent { name, type_id, shape, offset, start: 0, size })
}

/// Whether an accepted layout says what the bytes say, every tensor lies in the file apart from
/// every other, every name is found, and no bit of the head is unknown to it.
pub fn verify(bytes: &[u8], layout: &Layout) -> Result<(), String> {
    let walk = walk(bytes).ok_or("accepted, but the bytes cannot be walked")?;
    tensors_lie_apart(bytes, layout, &walk)?;
    every_name_is_found(layout)?;
    rewritten_head_is_the_same(&bytes[..walk.head_bytes], layout)
}

fn tensors_lie_apart(bytes: &[u8], layout: &Layout, walk: &Walk) -> Result<(), String> {
    let theirs = &layout.tensors;
    if theirs.len() != walk.tensors.len() {
        return Err(format!("{} tensors, the bytes hold {}", theirs.len(), walk.tensors.len()));
    }
    let mut free_from = walk.head_bytes as u128;
    for (info, extent) in theirs.iter().zip(&walk.tensors) {
        let name = info.name.as_str();
        let same = name.as_bytes() == extent.name
            && info.format.id == extent.type_id
            && *info.shape == *extent.shape
            && u128::from(info.offset) == extent.offset
            && u128::from(info.file_range().start) == extent.start
            && u128::from(info.bytes) == extent.size;
        if !same {
            return Err(format!("tensor '{name}': {info:?}, the bytes say {extent:?}"));
        }
        let end = extent.start.saturating_add(extent.size);
        if extent.start < free_from || end > bytes.len() as u128 {
            return Err(format!(
                "tensor '{name}' at {}..{end}, outside {free_from}..{}",
                extent.start,
                bytes.len()
            ));
        }
        free_from = end;
    }
    Ok(())
}

fn every_name_is_found(layout: &Layout) -> Result<(), String> {
    let found = |name: &str| layout.tensor(name).is_some_and(|info| info.name == name);
    if let Some(lost) = layout.tensors.iter().find(|info| !found(&info.name)) {
        return Err(format!("tensor '{}' is there, and is not found", lost.name));
    }
    match layout.metadata.iter().find(|(key, _)| !layout.metadata.contains(key)) {
        Some((key, _)) => Err(format!("key '{key}' is there, and is not found")),
        None => Ok(()),
    }
}

/// Written again from what the reader understood, header, metadata and infos are the same bytes:
/// two files that differ there can then never read the same.
fn rewritten_head_is_the_same(head: &[u8], layout: &Layout) -> Result<(), String> {
    let written = Writer::like(layout).head();
    let (written, _) = written.map_err(|e| format!("accepted, but cannot be written: {e}"))?;
    let same = |(at, byte): (usize, &u8)| written.get(at) == Some(byte);
    match head.iter().enumerate().position(|byte| !same(byte)) {
        Some(at) => Err(format!("byte {at} of the head is lost when it is written again")),
        None => Ok(()),
    }
}

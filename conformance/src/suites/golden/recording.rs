//! Reads a recording: a safetensors file of integers and floats with its provenance. Does not
//! use the engine's reader: a judge does not borrow the accused's eyes.

use super::folder;
use harness::Failure;
use serde::Deserialize;
use std::collections::BTreeMap;

/// One recorded file.
pub(in crate::suites) struct Recording {
    path: String,
    metadata: BTreeMap<String, String>,
    tensors: BTreeMap<String, Info>,
    data: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Info {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [usize; 2],
}

impl Recording {
    /// `path` is relative to `golden/`.
    pub(in crate::suites) fn open(path: &str) -> Result<Self, Failure> {
        let file = std::fs::read(folder().join(path))
            .map_err(|error| format!("golden/{path}: {error}; `golden regen` records it"))?;
        let named = |failure: Failure| format!("golden/{path}: {}", failure.text()).into();
        Self::parse(&format!("golden/{path}"), &file).map_err(named)
    }

    pub(super) fn parse(path: &str, file: &[u8]) -> Result<Self, Failure> {
        let (length, rest) = file.split_first_chunk().ok_or("shorter than its header length")?;
        let length = usize::try_from(u64::from_le_bytes(*length))?;
        let (header, data) = rest.split_at_checked(length).ok_or("shorter than its header")?;
        let mut header: serde_json::Map<_, _> = serde_json::from_slice(header)?;
        let metadata = header.remove("__metadata__").ok_or("no provenance")?;
        let tensors = serde_json::from_value(header.into())?;
        let metadata = serde_json::from_value(metadata)?;
        let read = Self { path: path.into(), metadata, tensors, data: data.to_vec() };
        let end = read.tensors.values().map(|info| info.data_offsets[1]).max().unwrap_or(0);
        if end != data.len() {
            return Err(format!("tensors end after {end} of {} bytes", data.len()).into());
        }
        Ok(read)
    }

    /// What is recorded.
    pub(in crate::suites) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// A word of provenance.
    pub(in crate::suites) fn metadata(&self, key: &str) -> Result<&str, Failure> {
        let found = self.metadata.get(key).map(String::as_str);
        Ok(found.ok_or_else(|| format!("{}: no metadata {key}", self.path))?)
    }

    /// A U8 tensor: its bytes and the bytes of one row.
    pub(in crate::suites) fn bytes(&self, name: &str) -> Result<(&[u8], usize), Failure> {
        let (data, shape) = self.matrix(name, "U8", 1)?;
        Ok((data, shape[1]))
    }

    /// An F32 tensor of any rank: its values and its shape.
    pub(in crate::suites) fn values(&self, name: &str) -> Result<(Vec<f32>, Vec<usize>), Failure> {
        let (data, shape) = self.tensor(name, "F32", 4)?;
        let values = data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        Ok((values.collect(), shape.to_vec()))
    }

    /// An I32 tensor of any rank: its values and its shape.
    pub(in crate::suites) fn ints(&self, name: &str) -> Result<(Vec<i32>, Vec<usize>), Failure> {
        let (data, shape) = self.tensor(name, "I32", 4)?;
        let values = data.as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes));
        Ok((values.collect(), shape.to_vec()))
    }

    /// Token ids: I32, or U16 where the vocabulary is small enough.
    pub(in crate::suites) fn ids(&self, name: &str) -> Result<Vec<i32>, Failure> {
        match self.tensor(name, "U16", 2) {
            Ok((data, _)) => {
                let ids = data.as_chunks().0.iter().map(|bytes| u16::from_le_bytes(*bytes).into());
                Ok(ids.collect())
            }
            Err(_) => Ok(self.ints(name)?.0),
        }
    }

    /// An F32 tensor: its values and the length of one row.
    pub(in crate::suites) fn floats(&self, name: &str) -> Result<(Vec<f32>, usize), Failure> {
        let (data, shape) = self.matrix(name, "F32", 4)?;
        let values = data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        Ok((values.collect(), shape[1]))
    }

    fn matrix(
        &self,
        name: &str,
        dtype: &str,
        width: usize,
    ) -> Result<(&[u8], [usize; 2]), Failure> {
        let (data, shape) = self.tensor(name, dtype, width)?;
        let shape = shape.try_into().map_err(|_| self.wrong(name, &format!("shape {shape:?}")))?;
        Ok((data, shape))
    }

    fn tensor(&self, name: &str, dtype: &str, width: usize) -> Result<(&[u8], &[usize]), Failure> {
        let info = self.tensors.get(name).ok_or_else(|| self.wrong(name, "no such tensor"))?;
        let [start, end] = info.data_offsets;
        let data = self.data.get(start..end).ok_or_else(|| self.wrong(name, "beyond the end"))?;
        let bytes = info.shape.iter().product::<usize>() * width;
        if info.dtype != dtype || data.len() != bytes || data.is_empty() {
            let is = format!("{} {:?} in {} bytes", info.dtype, info.shape, data.len());
            return Err(self.wrong(name, &is));
        }
        Ok((data, &info.shape))
    }

    fn wrong(&self, name: &str, what: &str) -> Failure {
        format!("{}: {name}: {what}", self.path).into()
    }

    /// The named group that holds block or row `index`.
    pub(in crate::suites) fn group(&self, index: usize) -> Result<String, Failure> {
        let groups: Vec<(String, usize)> = serde_json::from_str(self.metadata("groups")?)?;
        let mut end = 0;
        let holds = |(_, count): &&(String, usize)| {
            end += count;
            index < end
        };
        let found = groups.iter().find(holds);
        Ok(found.map_or_else(|| "no group".into(), |(name, _)| name.clone()))
    }
}

//! Writes GGUF files: to memory for small ones, as a stream for large ones. What it writes, the
//! reader accepts: every head goes through the reader's own proof before the first byte is out.
//! What the reader accepted, it writes back byte for byte (trailing bytes and dirty padding aside).

use super::layout::{Layout, Placer, alignment_of, padded};
use super::metadata::Metadata;
use super::tensor::data_bytes;
use super::value::{Value, put_string};
use crate::error::{Class, Error, Named, Result};
use crate::quant::Format;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// What a file shall hold.
#[derive(Debug, Clone)]
pub struct Writer {
    version: u32,
    metadata: Metadata,
    tensors: Vec<Planned>,
}

#[derive(Debug, Clone)]
struct Planned {
    name: String,
    format: &'static Format,
    shape: Vec<u64>,
    /// Absent when the data will be streamed.
    data: Option<Vec<u8>>,
}

impl Default for Writer {
    fn default() -> Self {
        Writer { version: 3, metadata: Metadata::default(), tensors: Vec::new() }
    }
}

impl Writer {
    /// An empty file of version 3.
    pub fn new() -> Self {
        Writer::default()
    }

    /// The same version, metadata and tensors as a file that was read, without the data.
    pub fn like(layout: &Layout) -> Self {
        let mut writer = Writer {
            version: layout.version,
            metadata: layout.metadata.clone(),
            tensors: Vec::with_capacity(layout.tensors.len()),
        };
        for tensor in &layout.tensors {
            writer.declare(&tensor.name, tensor.format, &tensor.shape);
        }
        writer
    }

    /// 2 or 3; the two differ in nothing else.
    pub fn version(&mut self, version: u32) -> &mut Self {
        self.version = version;
        self
    }

    /// Sets a key. `general.alignment`, a u32, is obeyed.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) -> &mut Self {
        self.metadata.set(key, value);
        self
    }

    /// All keys.
    pub fn metadata(&mut self) -> &mut Metadata {
        &mut self.metadata
    }

    /// Adds a tensor with its data.
    pub fn tensor(
        &mut self,
        name: &str,
        format: &'static Format,
        shape: &[u64],
        data: impl Into<Vec<u8>>,
    ) -> &mut Self {
        self.plan(name, format, shape, Some(data.into()))
    }

    /// Adds a tensor whose data will be streamed.
    pub fn declare(&mut self, name: &str, format: &'static Format, shape: &[u64]) -> &mut Self {
        self.plan(name, format, shape, None)
    }

    fn plan(
        &mut self,
        name: &str,
        format: &'static Format,
        shape: &[u64],
        data: Option<Vec<u8>>,
    ) -> &mut Self {
        self.tensors.push(Planned { name: name.into(), format, shape: shape.to_vec(), data });
        self
    }

    /// Everything before the data, padding included, and its proof.
    pub fn head(&self) -> Result<(Vec<u8>, Layout)> {
        let alignment = alignment_of(&self.metadata)?;
        let mut head = Vec::new();
        head.extend_from_slice(b"GGUF");
        head.extend_from_slice(&self.version.to_le_bytes());
        head.extend_from_slice(&(self.tensors.len() as u64).to_le_bytes());
        head.extend_from_slice(&(self.metadata.len() as u64).to_le_bytes());
        self.metadata.put(&mut head);
        let mut placer = Placer { next: 0, alignment };
        for tensor in &self.tensors {
            let refuse = |(class, detail)| {
                Error::refused(class, Named("tensor", &tensor.name).to_string(), detail)
            };
            let bytes = data_bytes(tensor.format, &tensor.shape).map_err(refuse)?;
            let offset = placer.place(bytes).ok_or_else(|| {
                refuse((Class::SizeOverflow, format!("{bytes} bytes end beyond 2^63 - 1")))
            })?;
            put_string(tensor.name.as_bytes(), &mut head);
            head.extend_from_slice(&(tensor.shape.len() as u32).to_le_bytes());
            tensor.shape.iter().for_each(|dim| head.extend_from_slice(&dim.to_le_bytes()));
            head.extend_from_slice(&tensor.format.id.to_le_bytes());
            head.extend_from_slice(&offset.to_le_bytes());
        }
        if !self.tensors.is_empty() {
            head.resize(padded(head.len() as u64, alignment) as usize, 0);
        }
        let size = (head.len() as u64).saturating_add(placer.next);
        let layout = Layout::parse_head(&head, size)?;
        Ok((head, layout))
    }

    /// The whole file, in memory. Every tensor must have come with its data.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut stream = self.stream(Vec::new(), Path::new("memory"))?;
        for tensor in &self.tensors {
            stream.push(tensor.data.as_deref().unwrap_or_default())?;
        }
        stream.finish()
    }

    /// Writes the whole file; it appears under `path` only when it is complete.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut stream = self.create(path)?;
        for tensor in &self.tensors {
            stream.push(tensor.data.as_deref().unwrap_or_default())?;
        }
        stream.finish_file()
    }

    /// Writes the head to `out` and takes the data, tensor by tensor, in pieces of any size.
    /// `path` is for messages.
    pub fn stream<W: Write>(&self, mut out: W, path: &Path) -> Result<Stream<W>> {
        let (head, layout) = self.head()?;
        out.write_all(&head).map_err(|e| Error::io("write", path, e))?;
        Ok(Stream { out, path: path.to_owned(), layout, tensor: 0, written: 0, partial: None })
    }

    /// Like [`Writer::stream`] into a file, which appears under `path` only when it is complete:
    /// a reader never sees half of it, and a file that is being read may be replaced.
    pub fn create(&self, path: &Path) -> Result<Stream<BufWriter<File>>> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".partial-{}", std::process::id()));
        let partial = path.with_file_name(name);
        let file = File::create(&partial).map_err(|e| Error::io("create", &partial, e))?;
        let partial = Partial(partial);
        let mut stream = self.stream(BufWriter::with_capacity(1 << 20, file), path)?;
        stream.partial = Some(partial);
        Ok(stream)
    }
}

/// An unfinished file, removed unless it is finished.
#[derive(Debug)]
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        // Nothing to do about a file that cannot be removed, or was renamed to its final name.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A file whose head is written and whose data is on its way.
#[derive(Debug)]
pub struct Stream<W: Write> {
    out: W,
    path: PathBuf,
    layout: Layout,
    /// Which tensor is being written, and how much of it is.
    tensor: usize,
    written: u64,
    partial: Option<Partial>,
}

impl<W: Write> Stream<W> {
    /// What is being written.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Writes the next piece of the current tensor. A piece must not reach into the next one.
    pub fn push(&mut self, piece: &[u8]) -> Result<()> {
        let Some(tensor) = self.layout.tensors.get(self.tensor) else {
            let detail = format!("{} bytes more than the file has tensors for", piece.len());
            return Err(Error::refused(Class::ShapeMismatch, "end of data", detail));
        };
        let (end, bytes) = (self.written.saturating_add(piece.len() as u64), tensor.bytes);
        if end > bytes || piece.is_empty() {
            let detail = format!(
                "given {} bytes after {}, but shape {} of {} has {bytes}",
                piece.len(),
                self.written,
                tensor.shape,
                tensor.format.name
            );
            return Err(Error::refused(Class::ShapeMismatch, tensor.place(), detail));
        }
        self.written = end;
        let mut pad = 0;
        if end == bytes {
            pad = padded(bytes, self.layout.alignment) - bytes;
            self.tensor += 1;
            self.written = 0;
        }
        let zeros = std::iter::repeat_n(&[0u8; 64][..], pad as usize / 64);
        let rest = &[0u8; 64][..pad as usize % 64];
        let mut pieces = std::iter::once(piece).chain(zeros).chain([rest]);
        pieces
            .try_for_each(|piece| self.out.write_all(piece))
            .map_err(|e| Error::io("write", &self.path, e))
    }

    /// Ends the file; every tensor must be complete.
    pub fn finish(mut self) -> Result<W> {
        self.end()?;
        Ok(self.out)
    }

    fn end(&mut self) -> Result<()> {
        if let Some(tensor) = self.layout.tensors.get(self.tensor) {
            let detail = format!("only {} of {} bytes were given", self.written, tensor.bytes);
            return Err(Error::refused(Class::ShapeMismatch, tensor.place(), detail));
        }
        self.out.flush().map_err(|e| Error::io("write", &self.path, e))
    }
}

impl Stream<BufWriter<File>> {
    /// Ends a file made by [`Writer::create`] and gives it its name.
    pub fn finish_file(mut self) -> Result<()> {
        self.end()?;
        let synced = self.out.get_ref().sync_all();
        synced.map_err(|e| Error::io("write", &self.path, e))?;
        match &self.partial {
            Some(partial) => std::fs::rename(&partial.0, &self.path)
                .map_err(|e| Error::io("rename to", &self.path, e)),
            None => Ok(()),
        }
    }
}

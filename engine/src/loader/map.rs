//! Opens and maps one regular file, and notices when it changes underneath.
//!
//! What is promised: opening never blocks and never accepts anything but a regular file; a file
//! that is cut short while mapped reads as zeros instead of killing the process (see [`guard`]),
//! and [`Mapped::verify_unchanged`] then refuses it, as it refuses one that was rewritten (size or
//! modification time differ). What is not promised: a writer that restores the modification time,
//! or writes within the clock granularity of the file system, is not noticed; bytes that change
//! between two reads are simply different bytes. Whoever acts on data asks afterwards.

use super::guard;
use crate::error::{Class, Error, Result, shown};
use memmap2::Mmap;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A mapped file, or one that is part of the program. A mapping lives as long as this value.
#[derive(Debug)]
pub struct Mapped {
    path: PathBuf,
    source: Source,
}

#[derive(Debug)]
enum Source {
    File {
        file: File,
        identity: Identity,
        /// Before `map`, so that the guard lets go before the pages do.
        guard: Option<guard::Guarded>,
        /// An empty file has no mapping.
        map: Option<Mmap>,
    },
    Program(&'static [u8]),
}

/// What changes when a file's content does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Identity {
    fn of(metadata: &Metadata) -> Identity {
        Identity {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

impl Mapped {
    /// Opens a regular file and maps all of it for reading.
    pub fn open(path: &Path) -> Result<Mapped> {
        let failed = |doing| move |source| Error::io(doing, path, source);
        // O_NONBLOCK: opening a FIFO without a writer would wait for ever.
        let mut options = OpenOptions::new();
        let options = options.read(true).custom_flags(libc::O_NONBLOCK);
        let file = options.open(path).map_err(failed("open"))?;
        let metadata = file.metadata().map_err(failed("look at"))?;
        if let Some((doing, errno)) = not_a_file(&metadata) {
            return Err(Error::io(doing, path, io::Error::from_raw_os_error(errno)));
        }
        let identity = Identity::of(&metadata);
        let map = match identity.size {
            0 => None,
            // SAFETY: the mapping is private and read-only. Bytes that another process changes
            // under it are read as plain bytes: whatever is judged is copied first, and nothing
            // but tensor data, for which every bit pattern is valid, is read in place.
            _ => Some(unsafe { Mmap::map(&file) }.map_err(failed("map"))?),
        };
        let guard = map.as_deref().map(guard::Guarded::new);
        let source = Source::File { file, identity, guard, map };
        Ok(Mapped { path: path.to_owned(), source })
    }

    /// A file that was compiled into the program; `name` is for messages.
    pub fn of_program(name: &str, bytes: &'static [u8]) -> Mapped {
        Mapped { path: name.into(), source: Source::Program(bytes) }
    }

    /// All bytes of the file, as many as there were when it was opened.
    pub fn bytes(&self) -> &[u8] {
        match &self.source {
            Source::File { map, .. } => map.as_deref().unwrap_or_default(),
            Source::Program(bytes) => bytes,
        }
    }

    /// Where the file was found.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Copies bytes out by reading, not through the mapping.
    pub fn read_at(&self, position: u64, out: &mut [u8]) -> Result<()> {
        let read = match &self.source {
            Source::File { file, .. } => file.read_exact_at(out, position),
            Source::Program(bytes) => {
                let mut left = bytes.get(position as usize..).unwrap_or_default();
                io::Read::read_exact(&mut left, out)
            }
        };
        match read {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                self.verify_unchanged()?;
                Err(Error::io("read", &self.path, e))
            }
            Err(e) => Err(Error::io("read", &self.path, e)),
        }
    }

    /// Refuses a file that is not the one that was opened.
    pub fn verify_unchanged(&self) -> Result<()> {
        let Source::File { file, identity, guard, .. } = &self.source else { return Ok(()) };
        let metadata = file.metadata().map_err(|e| Error::io("look at", &self.path, e))?;
        let (was, is) = (*identity, Identity::of(&metadata));
        let detail = if is.size != was.size {
            format!("it had {} bytes when opened and has {} now", was.size, is.size)
        } else if is != was {
            let (then, now) = (was.modified, is.modified);
            format!(
                "modified at {}.{:09} s, after it was opened ({}.{:09} s)",
                now.0, now.1, then.0, then.1
            )
        } else if guard.as_ref().is_some_and(guard::Guarded::was_hit) {
            "part of it could not be read: it was cut short meanwhile, or the disk failed".into()
        } else {
            return Ok(());
        };
        let place = format!("file {}", shown(self.path.as_os_str().as_encoded_bytes()));
        Err(Error::refused(Class::FileChanged, place, detail))
    }
}

/// What we were asked to read instead of a regular file, and what the system calls that.
fn not_a_file(metadata: &Metadata) -> Option<(&'static str, i32)> {
    let kind = metadata.file_type();
    match () {
        () if kind.is_file() => None,
        () if kind.is_dir() => Some(("open the directory", libc::EISDIR)),
        () if kind.is_fifo() => Some(("open the FIFO", libc::ESPIPE)),
        () if kind.is_socket() => Some(("open the socket", libc::ENXIO)),
        () => Some(("open the device", libc::ENODEV)),
    }
}

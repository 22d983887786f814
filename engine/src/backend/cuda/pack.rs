//! A pack: kernels compiled ahead for many architectures, in one file with a manifest, each entry
//! under its digest. Knows bytes and names, not which entry a device should take.
//!
//! Layout: `ORCDPACK`, manifest length (u64 LE), manifest (JSON), SHA-256 of the manifest in
//! hexadecimal, then the entries' bytes, whose offsets count from there.

use super::sources::sha256;
use super::usage::Usage;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

const MAGIC: &[u8; 8] = b"ORCDPACK";
const DIGEST: usize = 64;

/// What a pack holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// What compiled it, e.g. `NVRTC 12.9`.
    pub compiler: String,
    /// The options that every entry was compiled with, beside target and constants.
    pub options: Vec<String>,
    /// The entries, sorted by kernel and target.
    pub entries: Vec<Entry>,
}

/// One kernel file, compiled for one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The kernel's name with its constants, as `kernels::spelled` writes it.
    pub kernel: String,
    /// What it was compiled for, e.g. `sm_90a`.
    pub target: String,
    /// Digest of the sources.
    pub sources: String,
    /// Where its bytes start.
    pub at: usize,
    /// How many they are.
    pub bytes: usize,
    /// Their digest.
    pub sha256: String,
    /// What its kernels use.
    pub usage: Vec<Usage>,
}

/// A pack that was read.
pub struct Pack<'a> {
    /// What it holds.
    pub manifest: Manifest,
    body: &'a [u8],
}

impl<'a> Pack<'a> {
    /// Reads the manifest; entries are checked when they are taken.
    pub fn read(bytes: &'a [u8]) -> Result<Pack<'a>> {
        let wrong = |why: &str| Error::kernel("kernel pack", why);
        let rest =
            bytes.strip_prefix(MAGIC).ok_or_else(|| wrong("does not start with ORCDPACK"))?;
        let short = || wrong("ends within its manifest");
        let (length, rest) = rest.split_first_chunk().ok_or_else(short)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| short())?;
        let (manifest, rest) = rest.split_at_checked(length).ok_or_else(short)?;
        let (digest, body) = rest.split_at_checked(DIGEST).ok_or_else(short)?;
        if sha256(manifest).as_bytes() != digest {
            return Err(wrong("its manifest does not have the digest it names"));
        }
        let manifest = serde_json::from_slice(manifest).map_err(|e| wrong(&e.to_string()))?;
        Ok(Pack { manifest, body })
    }

    /// The bytes of an entry, if they are what the manifest says.
    pub fn image(&self, entry: &Entry) -> Result<&'a [u8]> {
        let wrong = |why: &str| Error::kernel(format!("{} ({})", entry.kernel, entry.target), why);
        let end = entry.at.checked_add(entry.bytes);
        let image = end.and_then(|end| self.body.get(entry.at..end));
        let image = image.ok_or_else(|| wrong("reaches past the end of the pack"))?;
        match sha256(image) == entry.sha256 {
            true => Ok(image),
            false => Err(wrong("its bytes do not have the digest that the pack names")),
        }
    }

    /// The entry that the target list likes best, made from these very sources.
    pub fn best(&self, kernel: &str, sources: &str, targets: &[String]) -> Option<&Entry> {
        targets.iter().find_map(|target| {
            self.manifest.entries.iter().find(|entry| {
                entry.kernel == kernel && entry.sources == sources && &entry.target == target
            })
        })
    }
}

/// Writes a pack: `entries` with their bytes, whose place and digest are filled in here.
pub fn write(mut manifest: Manifest, images: &[Vec<u8>]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    for (entry, image) in manifest.entries.iter_mut().zip(images) {
        entry.at = body.len();
        entry.bytes = image.len();
        entry.sha256 = sha256(image);
        body.extend_from_slice(image);
    }
    let manifest = serde_json::to_vec(&manifest)
        .map_err(|error| Error::kernel("kernel pack", error.to_string()))?;
    let length = (manifest.len() as u64).to_le_bytes();
    let digest = sha256(&manifest);
    Ok([MAGIC, length.as_slice(), &manifest, digest.as_bytes(), &body].concat())
}

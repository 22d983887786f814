//! A Hugging Face folder with a small random model, as a library would save it. Knows families'
//! names and shapes; nothing of GGUF but how to run the command and read its file.

use engine::cli;
use engine::loader::Gguf;
use half::{bf16, f16};
use harness::{Failure, roots};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// A tensor of a safetensors file.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) dtype: &'static str,
    pub(super) shape: Vec<usize>,
    pub(super) data: Vec<u8>,
    /// What the data stands for; nothing for codes and scales.
    pub(super) values: Vec<f32>,
}

/// A folder in the making.
pub(super) struct Folder {
    pub(super) config: Json,
    pub(super) tensors: BTreeMap<String, Stored>,
    /// A file of `golden/tokenizers`.
    pub(super) vocabulary: &'static str,
    pub(super) words: Json,
    seed: u64,
    dtype: &'static str,
}

/// A folder on disk and what was converted from it.
pub(super) struct Bench {
    pub(super) folder: TempDir,
}

/// Ids of `golden/tokenizers/NAME.json`.
pub(super) fn rows_of(vocabulary: &str) -> Result<usize, Failure> {
    let path = roots::project().join(format!("golden/tokenizers/{vocabulary}.json"));
    let json: Json = serde_json::from_slice(&fs::read(path)?)?;
    let learned = json["model"]["vocab"].as_object().ok_or("no vocabulary")?.values();
    let added = json["added_tokens"].as_array().ok_or("no tokens")?.iter();
    let ids = learned.chain(added.map(|added| &added["id"])).filter_map(Json::as_u64);
    Ok(ids.max().ok_or("no ids")? as usize + 1)
}

impl Folder {
    pub(super) fn new(
        config: Json,
        vocabulary: &'static str,
        dtype: &'static str,
    ) -> Result<Folder, Failure> {
        let mut folder = Folder {
            config,
            tensors: BTreeMap::new(),
            vocabulary,
            words: json!({"bos_token": null}),
            seed: 1,
            dtype,
        };
        if !vocabulary.is_empty() {
            folder.config["vocab_size"] = json!(rows_of(vocabulary)?);
        }
        Ok(folder)
    }

    pub(super) fn rows(&self) -> usize {
        self.config["vocab_size"].as_u64().unwrap_or_default() as usize
    }

    /// Adds a tensor of random numbers that the type holds exactly.
    pub(super) fn random(&mut self, name: &str, shape: &[usize]) {
        let (mut values, mut data) = (Vec::new(), Vec::new());
        for _ in 0..shape.iter().product() {
            self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let value = (self.seed >> 40) as f32 / (1 << 23) as f32 - 1.0;
            match self.dtype {
                "BF16" => {
                    let value = bf16::from_f32(value);
                    data.extend(value.to_le_bytes());
                    values.push(value.to_f32());
                }
                "F16" => {
                    let value = f16::from_f32(value);
                    data.extend(value.to_le_bytes());
                    values.push(value.to_f32());
                }
                _ => {
                    data.extend(value.to_le_bytes());
                    values.push(value);
                }
            }
        }
        let stored = Stored { dtype: self.dtype, shape: shape.to_vec(), data, values };
        self.tensors.insert(name.into(), stored);
    }

    /// Adds random codes and scales of MXFP4, `shape` in elements.
    pub(super) fn codes(&mut self, name: &str, shape: &[usize]) {
        let elements: usize = shape.iter().product();
        let mut random = |count: usize, low: u8, range: u64| -> Vec<u8> {
            let mut byte = || {
                self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                low + ((self.seed >> 33) % range) as u8
            };
            (0..count).map(|_| byte()).collect()
        };
        let (blocks, scales) = (random(elements / 2, 0, 256), random(elements / 32, 120, 12));
        let mut rows = shape.to_vec();
        if let Some(last) = rows.last_mut() {
            *last /= 32;
        }
        let stored = |shape, data| Stored { dtype: "U8", shape, data, values: Vec::new() };
        self.tensors.insert(format!("{name}_scales"), stored(rows.clone(), scales));
        rows.push(16);
        self.tensors.insert(format!("{name}_blocks"), stored(rows, blocks));
    }

    /// A safetensors file of the tensors that `keep` keeps.
    pub(super) fn safetensors(&self, keep: impl Fn(&str) -> bool) -> Result<Vec<u8>, Failure> {
        let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
        for (name, stored) in self.tensors.iter().filter(|(name, _)| keep(name)) {
            let start = data.len();
            data.extend_from_slice(&stored.data);
            let entry = json!({
                "dtype": stored.dtype, "shape": stored.shape, "data_offsets": [start, data.len()],
            });
            header.insert(name.clone(), entry);
        }
        let header = serde_json::to_vec(&header)?;
        Ok([&(header.len() as u64).to_le_bytes()[..], &header, &data].concat())
    }

    /// Writes everything but the tensors.
    pub(super) fn bare(&self) -> Result<Bench, Failure> {
        let bench = Bench { folder: TempDir::new()? };
        fs::create_dir(bench.path("hf"))?;
        fs::write(bench.path("hf/config.json"), serde_json::to_vec(&self.config)?)?;
        fs::write(bench.path("hf/tokenizer_config.json"), serde_json::to_vec(&self.words)?)?;
        if !self.vocabulary.is_empty() {
            let path = format!("golden/tokenizers/{}.json", self.vocabulary);
            fs::copy(roots::project().join(path), bench.path("hf/tokenizer.json"))?;
        }
        Ok(bench)
    }

    /// Writes the folder with one file of tensors.
    pub(super) fn write(&self) -> Result<Bench, Failure> {
        let bench = self.bare()?;
        fs::write(bench.path("hf/model.safetensors"), self.safetensors(|_| true)?)?;
        Ok(bench)
    }
}

impl Bench {
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `convert hf OUT …`; returns the exit code and what it printed, errors last.
    pub(super) fn run(&self, to: &str, more: &[&str]) -> Result<(u8, String), Failure> {
        let mut line: Vec<OsString> = vec!["worker-orcd".into(), "convert".into()];
        line.extend([self.path("hf").into(), self.path(to).into()]);
        line.extend(more.iter().map(OsString::from));
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = cli::run(line, &mut out, &mut err);
        Ok((code, String::from_utf8(out)? + &String::from_utf8(err)?))
    }

    /// The converted file.
    pub(super) fn converted(&self, more: &[&str]) -> Result<Gguf, Failure> {
        match self.run("out.gguf", more)? {
            (0, _) => Ok(Gguf::open(&self.path("out.gguf"))?),
            (code, told) => Err(format!("exit code {code}: {told}").into()),
        }
    }

    /// Wants a refusal that says all `parts`, and no file left behind.
    pub(super) fn refused(&self, more: &[&str], parts: &[&str]) -> Result<(), Failure> {
        let (code, told) = self.run("out.gguf", more)?;
        if code == 0 || parts.iter().any(|part| !told.contains(part)) {
            return Err(format!("exit code {code}, wanted a refusal with {parts:?}: {told}").into());
        }
        let left: Vec<_> = fs::read_dir(self.folder.path())?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<Result<_, _>>()?;
        if left != ["hf"] { Err(format!("left behind: {left:?}").into()) } else { Ok(()) }
    }
}

/// The values of a tensor of a file.
pub(super) fn decoded(file: &Gguf, name: &str) -> Result<Vec<f32>, Failure> {
    let view = file.tensor(name).ok_or_else(|| format!("no tensor {name}"))?;
    let decode = view.info.format.scalar.ok_or("not decoded")?;
    let mut values = vec![0.0; view.info.elements() as usize];
    decode(view.data, &mut values);
    Ok(values)
}

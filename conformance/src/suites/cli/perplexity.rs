//! `cli::perplexity::` — llama-perplexity's method, followed with the reference's formulas over the
//! logits that `worker-orcd logits` writes.

use super::logits::logits;
use super::toy::Toy;
use super::{call, number, words};
use crate::reference::sampler as reference;
use engine::tokenizer::{EncodeOptions, Options, Tokenizer};
use harness::{Case, Failure, Run};
use serde_json::Value;
use sha2::{Digest, Sha256};

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, body: fn(&mut Run) -> Result<(), Failure>| {
        Case::new(format!("cli::perplexity::{name}"), body)
    };
    vec![
        case("chunks", |_| judge(&Toy::new()?, Asked { context: 16, chunks: None, stride: None })),
        case("odd-context", |_| {
            judge(&Toy::new()?, Asked { context: 13, chunks: None, stride: None })
        }),
        case("fewer-chunks", |_| {
            judge(&Toy::new()?, Asked { context: 16, chunks: Some(2), stride: None })
        }),
        case("stride", |_| {
            judge(&Toy::new()?, Asked { context: 16, chunks: None, stride: Some(6) })
        }),
        case("without-bos", |_| {
            let toy = Toy::with(|metadata| {
                metadata.set("tokenizer.ggml.add_bos_token", false);
            })?;
            judge(&toy, Asked { context: 16, chunks: None, stride: None })
        }),
        case("text", |_| text()),
        case("refusals", |_| refusals()),
    ]
}

const TEXT: &str = "the hello world in the rain, hello the hill and the wind; the old door: hello! \
                    In the end the well held water, and the light fell on the hollow hill. hello";

#[derive(Debug, Clone, Copy)]
struct Asked {
    context: usize,
    chunks: Option<usize>,
    stride: Option<usize>,
}

impl Asked {
    fn json(&self, toy: &Toy) -> Result<Value, Failure> {
        let file = toy.file("text.txt", TEXT)?;
        let mut line = format!("perplexity {} -f {file} -c {} --json", toy.path, self.context);
        if let Some(chunks) = self.chunks {
            line += &format!(" --chunks {chunks}");
        }
        if let Some(stride) = self.stride {
            line += &format!(" --stride {stride}");
        }
        call(&words(&line))?.json()
    }
}

/// What the method gives: number of chunks and of scored tokens, perplexity, its error.
fn by_hand(toy: &Toy, ids: &[u32], bos: Option<u32>, asked: Asked) -> Result<[f64; 4], Failure> {
    // perplexity.cpp: main adds half a stride to the context; perplexity_v2 scores the last
    // `stride` tokens of a window, perplexity the second half of a chunk.
    let length = asked.context + asked.stride.unwrap_or(0) / 2;
    let (starts, first): (Vec<usize>, usize) = match asked.stride {
        None => ((0..ids.len() / length).map(|chunk| chunk * length).collect(), length / 2),
        Some(stride) => {
            let count = (ids.len() - length).div_ceil(stride);
            ((0..count).map(|chunk| chunk * stride).collect(), length - stride - 1)
        }
    };
    let starts = &starts[..asked.chunks.unwrap_or(starts.len()).min(starts.len())];
    let mut surprises = Vec::new();
    for start in starts {
        let chunk = &ids[*start..start + length];
        let mut read = chunk.to_vec();
        if let (Some(bos), None) = (bos, asked.stride) {
            read[0] = bos;
        }
        let rows = logits(toy, &read)?;
        for row in first..length - 1 {
            surprises.push(-reference::logprobs(&rows[row])[chunk[row + 1] as usize]);
        }
    }
    let count = surprises.len() as f64;
    let mean = surprises.iter().sum::<f64>() / count;
    let variance = surprises.iter().map(|s| s * s).sum::<f64>() / count - mean * mean;
    let error = (variance / (count - 1.0)).sqrt() * mean.exp();
    Ok([starts.len() as f64, count, mean.exp(), error])
}

fn judge(toy: &Toy, asked: Asked) -> Result<(), Failure> {
    let found = asked.json(toy)?;
    let file = engine::loader::Gguf::open(std::path::Path::new(&toy.path))?;
    let tokenizer = Tokenizer::from_metadata(file.metadata(), &Options::default())?;
    let ids = tokenizer.encode(TEXT, EncodeOptions::TEXT)?;
    let bos = tokenizer.info().add_bos.then_some(1);
    let want = by_hand(toy, &ids, bos, asked)?;
    if want[0] < 2.0 {
        return Err(format!("{} chunks judge nothing", want[0]).into());
    }
    for (key, want) in ["chunks", "tokens_scored", "perplexity", "error"].iter().zip(want) {
        let found = number(&found, key)?;
        if (found - want).abs() > 1e-9 * want {
            return Err(format!("{key} is {found}, must be {want}").into());
        }
    }
    let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
    let digest: String = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
    let tokens = number(&found, "tokens")?;
    match found["ids_sha256"] == digest.as_str() && tokens == ids.len() as f64 {
        true => Ok(()),
        false => Err(format!("{tokens} ids with digest {}", found["ids_sha256"]).into()),
    }
}

fn text() -> Result<(), Failure> {
    let toy = Toy::new()?;
    let want = Asked { context: 16, chunks: None, stride: None }.json(&toy)?;
    let file = toy.file("text.txt", TEXT)?;
    let ended = call(&["perplexity", &toy.path, "-f", &file, "-c", "16"])?.fine()?;
    let value = format!(
        "perplexity {:.4} ± {:.5}\n",
        number(&want, "perplexity")?,
        number(&want, "error")?
    );
    let digest = want["ids_sha256"].as_str().unwrap_or("?");
    let tokenizer = ended.err.starts_with("tokenizer: ") && ended.err.lines().count() == 1;
    match ended.out.starts_with(&value) && ended.out.contains(digest) && tokenizer {
        true => Ok(()),
        false => Err(format!("{ended:?}, must begin with {value:?}").into()),
    }
}

fn refusals() -> Result<(), Failure> {
    let toy = Toy::new()?;
    let file = toy.file("text.txt", TEXT)?;
    let with = |line: &str| call(&words(&format!("perplexity {} -f {file} {line}", toy.path)));
    with("-c 512")?.refused(2, &["the text has", "a context of 512 needs 1024"])?;
    with("-c 3")?.refused(2, &["a context of 3"])?;
    with("-c 16 --stride 0")?.refused(2, &["stride"])?;
    with("-c 16 --stride 40")?.refused(2, &["stride"])?;
    call(&["perplexity", &toy.path, "-f", "/nowhere/text"])?.refused(1, &["/nowhere/text"])?;
    let ends = Toy::with(|metadata| {
        metadata.set("tokenizer.ggml.add_eos_token", true);
    })?;
    call(&["perplexity", &ends.path, "-f", &file])?.refused(2, &["EOS"])
}

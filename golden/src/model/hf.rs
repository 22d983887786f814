//! Records what the transformers library computes with a fixture's weights, decoded to f32: the
//! second oracle, which rounds no YaRN correction and keeps Phi-3's window. The script knows the
//! library; this knows the files of `hf/NAME/`, which are laid out like a trace.

use super::inputs::{CORPUS, QUESTIONS, Questions};
use super::prompt::{self, Prompt};
use super::record::{page, rows_of};
use super::{MODELS, distance};
use crate::area::Recording;
use crate::digest::sha256;
use crate::llama::Model;
use crate::llama::session::{Rows, Session, Settings};
use crate::llama::twin::Twin;
use crate::safetensors::{File, Tensor};
use crate::store::{MACHINE, root};
use crate::{Result, ggml, oracle};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;

const SCRIPT: &str = "hf.py";
const OTHERS: [&str; 4] = ["hf_model.py", "hf_weights.py", "pinned.py", "requirements-hf.txt"];

/// Of the rows that a trace keeps: a second answer to every one would weigh as much again.
const EVERY: usize = 4;

pub(super) fn fixture(name: &str) -> Result<Recording> {
    let file = format!("{MODELS}/{name}.gguf");
    let path = root().join(&file);
    let twin = Twin::of(&path)?;
    let model = Model::load(&twin.path)?;
    let mut prompts = prompt::all(&model, &Questions::read()?)?;
    // Attention over 8,300 rows, all of them at once, is more memory than it tells.
    prompts.retain(|prompt| prompt.name != "far");
    for prompt in prompts.iter_mut().filter(|prompt| !prompt.full) {
        let last = prompt.ids.len() - 1;
        prompt.rows = prompt.rows.iter().step_by(EVERY).copied().chain([last]).collect();
        prompt.rows.dedup();
    }
    let answer = ask(&path, &prompts)?;
    let mut provenance = answer.metadata.clone();
    provenance.insert("model-sha256".into(), sha256(&fs::read(&path)?));
    provenance.insert("twin-sha256".into(), twin.digest()?);
    provenance.insert("instruction-set".into(), "whatever this build of torch has".into());
    provenance.insert("settings".into(), "f32 weights and activations, eager attention".into());
    let mut files = BTreeMap::new();
    for prompt in &prompts {
        let (trace, page) = files_of(prompt, &answer, &model, &provenance)?;
        files.insert(format!("hf/{name}/{}.safetensors", prompt.name), trace);
        files.insert(format!("hf/{name}/{}.toml", prompt.name), page.into_bytes());
    }
    provenance.insert(MACHINE.into(), ggml::machine());
    let scripts = [&[SCRIPT][..], &OTHERS].concat();
    let mut inputs = vec![file, QUESTIONS.into(), CORPUS.into()];
    inputs.extend(scripts.iter().map(|script| format!("oracles/{script}")));
    Ok(Recording { provenance, inputs, files })
}

/// The script's answer to all prompts; a tensor's name is `PROMPT/TAP`.
fn ask(model: &std::path::Path, prompts: &[Prompt]) -> Result<File> {
    let ids: BTreeMap<_, _> = prompts.iter().map(|prompt| (prompt.name, &prompt.ids)).collect();
    let rows: BTreeMap<_, _> = prompts.iter().map(|prompt| (prompt.name, &prompt.rows)).collect();
    let out = std::env::temp_dir().join(format!("golden-hf-{}.safetensors", std::process::id()));
    let arguments =
        [model.to_str().ok_or("path is no UTF-8")?, out.to_str().ok_or("path is no UTF-8")?];
    let question = serde_json::to_vec(&json!({"prompts": ids, "rows": rows}))?;
    let asked = oracle::ask(SCRIPT, &arguments, &question);
    let answer = asked.and_then(|_| File::read(&fs::read(&out)?));
    let _ = fs::remove_file(&out);
    answer
}

fn files_of(
    prompt: &Prompt,
    answer: &File,
    model: &Model,
    provenance: &BTreeMap<String, String>,
) -> Result<(Vec<u8>, String)> {
    let mut file = File { metadata: provenance.clone(), ..File::default() };
    let prefix = format!("{}/", prompt.name);
    for (name, tensor) in &answer.tensors {
        if let Some(tap) = name.strip_prefix(&prefix) {
            file.tensors.insert(tap.into(), tensor.clone());
        }
    }
    let logits = |tensor: Option<&Tensor>| -> Result<Vec<f32>> {
        Ok(tensor.ok_or("the script gives no logits")?.values())
    };
    let reference = logits(file.tensors.get("result_output"))?;
    let otherwise = logits(file.tensors.remove("as-llama-cpp").as_ref())?;
    let ids = &prompt.ids;
    file.tensors.insert("ids".into(), Tensor::ids(ids));
    let mut session = Session::new(model, Settings::exact(ids.len()), None)?;
    let n_vocab = model.n_vocab();
    let theirs = rows_of(&session.decode(ids, Rows::All)?, n_vocab, &prompt.rows);
    let apart = distance::between("llama.cpp on the twin", &theirs, &reference, n_vocab);
    let mut page = page(prompt, session.n_ctx(), provenance, &apart)?;
    // Shows that the oracles differ by what is known of them, and by nothing else.
    let who = "llama.cpp on the twin, against the library made to round YaRN and drop the window";
    let rest = distance::between(who, &theirs, &otherwise, n_vocab);
    page += &format!("\n[explained]\n{rest}\n");
    Ok((file.write()?, page))
}

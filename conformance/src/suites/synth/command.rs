//! `worker-orcd synth` as people type it: what it refuses, and how.

use crate::models;
use engine::loader::Gguf;
use harness::{Case, Failure, Run, roots};
use std::ffi::OsString;
use std::path::Path;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("synth::command::writes-and-does-not-overwrite", overwrite),
        Case::new("synth::command::dry-run-writes-nothing", dry_run),
        Case::new("synth::command::mistakes-are-named", mistakes),
    ]
}

/// Exit code, standard output, standard error.
fn synth(arguments: &[&str], out: Option<&Path>) -> Result<(u8, String, String), Failure> {
    let mut all: Vec<OsString> = vec!["worker-orcd".into(), "synth".into()];
    all.extend(arguments.iter().map(Into::into));
    if let Some(out) = out {
        all.extend(["--out".into(), out.as_os_str().to_owned()]);
    }
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let code = engine::cli::run(all, &mut stdout, &mut stderr);
    Ok((code, String::from_utf8(stdout)?, String::from_utf8(stderr)?))
}

fn shape(name: &str) -> String {
    roots::project().join(format!("conformance/models/{name}.toml")).display().to_string()
}

fn overwrite(_: &mut Run) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("m.gguf");
    let shape = shape("gpt-oss-odd");
    let (code, said, _) = synth(&[&shape, "--seed", "5", "--threads", "2"], Some(&out))?;
    if code != 0 || !said.contains("tensors") {
        return Err(format!("exit code {code}, said {said:?}").into());
    }
    let first = std::fs::read(&out)?;
    if Gguf::open(&out)?.tensors().is_empty() {
        return Err("no tensors".into());
    }
    let (code, _, said) = synth(&[&shape], Some(&out))?;
    if code != 2 || !said.contains("exists") || std::fs::read(&out)? != first {
        return Err(format!("an existing file: exit code {code}, said {said:?}").into());
    }
    let (code, _, said) = synth(&[&shape, "--force"], Some(&out))?;
    if code != 0 || std::fs::read(&out)? == first {
        return Err(format!("--force: exit code {code}, said {said:?}").into());
    }
    let files = std::fs::read_dir(folder.path())?.count();
    match files {
        1 => Ok(()),
        _ => Err(format!("{files} files are left where one was written").into()),
    }
}

fn dry_run(_: &mut Run) -> Result<(), Failure> {
    let (code, said, _) = synth(&["gpt-oss-20b", "--dry-run"], None)?;
    let last = said.lines().last().unwrap_or_default();
    let wanted = "459 tensors; the file would have 11.3 GiB";
    match code == 0 && last.starts_with(wanted) && said.contains("blk.23.ffn_down_exps.weight") {
        true => Ok(()),
        false => Err(format!("exit code {code}, last line {last:?}").into()),
    }
}

fn mistakes(_: &mut Run) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let bad = folder.path().join("bad.toml");
    let text = std::fs::read_to_string(shape("llama-mqa"))?;
    let edits: &[(&str, &str, &[&str])] = &[
        ("\"Q5_1\"", "\"Q5_X\"", &["blk.N.attn_q.weight", "Q5_X"]),
        ("about =", "abuot =", &["line 1", "abuot"]),
        ("[96, 24]", "[97, 24]", &["BadBlock", "blk.0.attn_k.weight", "97"]),
        ("1.0, 1.0, 1.0,", "1.0,", &["rope_freqs.weight", "10 values", "12"]),
        ("= 203", "= 0", &["vocabulary", "0"]),
        ("1e-5", "{ f16 = 1 }", &["layer_norm_rms_epsilon", "f16"]),
        ("kind = \"none\"", "kind = \"bpe\"", &["203", "282"]),
        ("\"llama.block_count\" = 3", "", &["MissingKey", "llama.block_count"]),
    ];
    for (from, to, words) in edits {
        std::fs::write(&bad, text.replacen(from, to, 1))?;
        let (code, _, said) = synth(&[&bad.display().to_string(), "--dry-run"], None)?;
        let missing = words.iter().find(|word| !said.contains(**word));
        if code == 0 || said.lines().count() != 1 || missing.is_some() {
            return Err(format!("{from} → {to}: exit code {code}, said {said:?}").into());
        }
    }
    let none = models::names().first().map(|name| format!("{name}-not-there.toml"));
    let wrong: &[(&[&str], u8, &str)] = &[
        (&["gpt-oss-21b", "--dry-run"], 2, "gpt-oss-120b"),
        (&["gpt2", "--experts", "f16", "--dry-run"], 2, "no experts"),
        (&["gpt-oss-20b", "--experts", "iq2_xs", "--dry-run"], 2, "MXFP4"),
        (&["gpt-oss-20b", "--layers", "0", "--dry-run"], 2, "--layers"),
        (&["gpt-oss-20b"], 2, "--out"),
        (&[none.as_deref().unwrap_or("x.toml"), "--dry-run"], 1, "not-there.toml"),
    ];
    for (arguments, wanted, word) in wrong {
        let (code, _, said) = synth(arguments, None)?;
        if code != *wanted || !said.contains(word) {
            return Err(format!("{arguments:?}: exit code {code}, said {said:?}").into());
        }
    }
    Ok(())
}

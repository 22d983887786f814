//! `cli::logits::` and `cli::trace::` — files that other programs read.

use super::toy::{LAYERS, N_EMBD, N_VOCAB, Toy};
use super::{call, words};
use engine::loader::SafeTensors;
use harness::{Case, Failure};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("cli::logits::npy", |_| npy()),
        Case::new("cli::logits::ids-from-a-file", |_| ids_from_a_file()),
        Case::new("cli::logits::precision", |_| precision()),
        Case::new("cli::logits::refusals", |_| refusals()),
        Case::new("cli::trace::safetensors", |_| trace()),
        Case::new("cli::trace::filter", |_| filter()),
    ]
}

/// The logits that the command writes for these ids, row by row.
pub(super) fn logits(toy: &Toy, ids: &[u32]) -> Result<Vec<Vec<f32>>, Failure> {
    let list: Vec<String> = ids.iter().map(u32::to_string).collect();
    let out = toy.beside("logits.npy");
    call(&["logits", &toy.path, "--tokens", &list.join(","), "--out", &out])?.fine()?;
    read_npy(&std::fs::read(out)?, ids.len())
}

/// Reads a file by NumPy's description of the format: magic, version 1.0, length of the header,
/// header, data.
fn read_npy(file: &[u8], rows: usize) -> Result<Vec<Vec<f32>>, Failure> {
    let length = file.get(8..10).ok_or("too short")?;
    let length = usize::from(u16::from_le_bytes([length[0], length[1]]));
    let header = String::from_utf8_lossy(file.get(10..10 + length).ok_or("too short")?);
    let shape = format!("'shape': ({rows}, {N_VOCAB}");
    let says = ["'descr': '<f4'", "'fortran_order': False", &shape];
    if !file.starts_with(b"\x93NUMPY\x01\x00")
        || !(10 + length).is_multiple_of(64)
        || !header.ends_with('\n')
        || says.iter().any(|part| !header.contains(part))
    {
        return Err(format!("the header is {header:?}").into());
    }
    let data = &file[10 + length..];
    if data.len() != rows * N_VOCAB as usize * 4 {
        return Err(format!("{} bytes of data", data.len()).into());
    }
    let values: Vec<f32> = data
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        .collect();
    Ok(values.chunks_exact(N_VOCAB as usize).map(<[f32]>::to_vec).collect())
}

/// A longer prompt's rows begin with a shorter one's, and differ from each other.
fn npy() -> Result<(), Failure> {
    let toy = Toy::new()?;
    let (short, long) = (logits(&toy, &[1, 40])?, logits(&toy, &[1, 40, 99])?);
    match short[..] == long[..2] && long[1] != long[2] && long[0].iter().all(|l| l.is_finite()) {
        true => Ok(()),
        false => Err("rows of a prompt depend on what follows, or are all alike".into()),
    }
}

fn ids_from_a_file() -> Result<(), Failure> {
    let toy = Toy::new()?;
    let want = logits(&toy, &[1, 40, 99])?;
    let (list, out) = (toy.file("ids.txt", "1 40\n\t99\n")?, toy.beside("file.npy"));
    call(&["logits", &toy.path, "--tokens", &format!("@{list}"), "--out", &out])?.fine()?;
    match read_npy(&std::fs::read(out)?, 3)? == want {
        true => Ok(()),
        false => Err("other logits than for the same ids".into()),
    }
}

/// On blocks of codes `fast` rounds activations: other bits, nearly the same numbers, and the same
/// with any number of threads.
fn precision() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("logits.npy").to_string_lossy().into_owned();
    let with = |more: &str| -> Result<Vec<f32>, Failure> {
        let line = words(&format!("logits --tokens 260,502,13 --out {out} {more}"));
        call(&line)?.fine()?;
        let file = std::fs::read(&out)?;
        let start = 10 + usize::from(u16::from_le_bytes([file[8], file[9]]));
        let bytes = file[start..].chunks_exact(4);
        Ok(bytes.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
    };
    let (exact, fast) = (with("--threads 1")?, with("--precision fast --threads 1")?);
    if with("--precision exact --threads 2")? != exact
        || with("--precision fast --threads 2")? != fast
    {
        return Err("another number of threads, other bits".into());
    }
    let error: f64 = exact.iter().zip(&fast).map(|(e, f)| f64::from(e - f).powi(2)).sum();
    let nmse = error / exact.iter().map(|e| f64::from(*e).powi(2)).sum::<f64>();
    match nmse > 0.0 && nmse < 0.01 {
        true => Ok(()),
        false => Err(format!("fast is {nmse} from exact").into()),
    }
}

fn refusals() -> Result<(), Failure> {
    let toy = Toy::new()?;
    let out = toy.beside("x.npy");
    let with = |tokens: &str, more: &str| {
        let mut line = vec!["logits".to_string(), toy.path.clone()];
        line.extend(["--tokens".into(), tokens.into(), "--out".into(), out.clone()]);
        line.extend(words(more));
        call(&line)
    };
    with("1,291", "")?.refused(2, &["token 291", "291"])?;
    with("1,x", "")?.refused(2, &["\"x\""])?;
    with("@/nowhere/ids", "")?.refused(2, &["/nowhere/ids"])?;
    with("1", "--backend abacus")?.refused(2, &["abacus", "cpu"])?;
    with("1", "--precision rough")?.refused(2, &["rough", "exact", "fast"])?;
    with("1", "--profile mine")?.refused(2, &["mine", "reference", "llama.cpp"])?;
    match std::fs::exists(&out)? {
        false => Ok(()),
        true => Err("a refused command has written its file".into()),
    }
}

fn trace() -> Result<(), Failure> {
    let toy = Toy::new()?;
    let out = toy.beside("trace.safetensors");
    call(&["trace", &toy.path, "--tokens", "1,40,99", "--out", &out])?.fine()?;
    let file = SafeTensors::open(std::path::Path::new(&out))?;
    let shape = |name: &str| file.layout().tensor(name).map(|info| info.shape.to_vec());
    let last = LAYERS - 1;
    let wants = [
        (format!("l_out-{last}"), vec![3, N_EMBD]),
        ("attn_norm-0".into(), vec![3, N_EMBD]),
        ("result_output".into(), vec![3, N_VOCAB]),
    ];
    for (name, want) in wants {
        if shape(&name) != Some(want.clone()) {
            return Err(format!("{name}: {:?}, must be {want:?}", shape(&name)).into());
        }
    }
    Ok(())
}

fn filter() -> Result<(), Failure> {
    let toy = Toy::new()?;
    let out = toy.beside("trace.safetensors");
    let with =
        |taps: &str| call(&["trace", &toy.path, "--tokens", "1,40", "--taps", taps, "--out", &out]);
    with("^no such place$")?.refused(2, &["no such place", "matches no place"])?;
    with("(")?.refused(2, &["--taps"])?;
    with("^l_out-")?.fine()?;
    let file = SafeTensors::open(std::path::Path::new(&out))?;
    let names: Vec<&str> = file.tensors().iter().map(|tensor| tensor.name.as_str()).collect();
    match names == ["l_out-0", "l_out-1"] {
        true => Ok(()),
        false => Err(format!("wrote {names:?}").into()),
    }
}

//! Shows that a trace which says nothing is refused: not finite, cut off, of another model, of
//! other ids, without provenance, or not there.

use super::texts::{parse_continuations, parse_perplexity};
use super::{Oracle, Trace, Values, hex};
use harness::{Case, Failure};
use serde_json::json;

const MODEL: &[u8] = b"a model";
const PAGE: &str = r#"
tokens = 2
ids-sha256 = "IDS"
rows = [0, 1]
n-ctx = 256

[source]
oracle = "somebody"
instruction-set = "some"
settings = "some"
threads = "1"
twin-sha256 = "00"
model-sha256 = "MODEL"

[compared]
who = "somebody else"
nmse = "0x1p-9"
worst-row-nmse = "0x1p-8"
other-top-1 = 0

[taps]
"ffn_moe_topk-0" = { op = "VIEW", shape = [2, 3], samples = "4 1" }

[taps."l_out-0"]
op = "ADD"
shape = [2, 3]
mean = "0x0p0"
rms = "0x1p0"
absmax = "0x1p0"
samples = "0x1p0 0x1p0"
"#;

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, check: fn() -> Result<(), Failure>| {
        Case::new(format!("selftest::trace::{name}"), move |_| check())
    };
    vec![
        case("an-honest-one-is-read", honest),
        case("a-missing-file-is-red", missing),
        case("every-cut-is-red", cut),
        case("a-value-that-is-not-finite-is-red", not_finite),
        case("another-model-is-red", another_model),
        case("a-page-of-another-trace-is-red", another_page),
        case("a-text-without-its-margins-is-red", continuation),
        case("a-perplexity-of-nothing-is-red", perplexity),
    ]
}

fn page() -> String {
    let ids: Vec<u8> = [7i32, 8].iter().flat_map(|id| id.to_le_bytes()).collect();
    PAGE.replace("IDS", &hex(&ids)).replace("MODEL", &hex(MODEL))
}

/// A trace of two rows and three logits, the last of which is given.
fn trace(last: f32) -> Vec<u8> {
    let header = json!({
        "__metadata__": {
            "oracle": "somebody", "instruction-set": "some", "settings": "some", "threads": "1",
            "twin-sha256": "00", "ops": r#"[["Qcur-0", "MUL_MAT"], ["Qcur-0#1", "ROPE"]]"#,
        },
        "result_output": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "Qcur-0": {"dtype": "F32", "shape": [2, 1, 1], "data_offsets": [0, 8]},
        "Qcur-0#1": {"dtype": "F32", "shape": [2, 1, 1], "data_offsets": [8, 16]},
        "ids": {"dtype": "U16", "shape": [1, 2], "data_offsets": [24, 28]},
    });
    let header = header.to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.bytes());
    file.extend([1.0, 2.0, 3.0, 4.0, 5.0, last].iter().flat_map(|value: &f32| value.to_le_bytes()));
    file.extend([7u16, 8].iter().flat_map(|id| id.to_le_bytes()));
    file
}

fn red(read: Result<Trace, Failure>, word: &str) -> Result<(), Failure> {
    match read {
        Ok(_) => Err(format!("read, though it should be red for '{word}'").into()),
        Err(failure) if failure.text().contains(word) => Ok(()),
        Err(failure) => Err(format!("red for another reason: {}", failure.text()).into()),
    }
}

fn honest() -> Result<(), Failure> {
    let trace = Trace::parse("x", &page(), &trace(6.0), &hex(MODEL))?;
    let (logits, width) = trace.logits()?;
    let summary = trace.summaries().get("l_out-0").ok_or("no summary")?;
    let (rotated, compared) = (trace.last("Qcur-0")?, trace.compared());
    let ids = trace.summaries().get("ffn_moe_topk-0").ok_or("no summary")?;
    let seen = [
        trace.ids() == [7, 8] && trace.rows() == [0, 1] && trace.n_ctx() == 256,
        (logits.len(), width) == (6, 3),
        (rotated.name.as_str(), rotated.op.as_str()) == ("Qcur-0#1", "ROPE"),
        rotated.shape == [2, 1, 1] && rotated.values == Values::Floats(vec![3.0, 4.0]),
        (compared.nmse, compared.worst_row_nmse) == (2f32.powi(-9), 2f32.powi(-8)),
        (compared.who.as_str(), compared.other_top_1) == ("somebody else", 0),
        summary.op == "ADD" && summary.places() == [1, 4] && summary.samples == [1.0, 1.0],
        (summary.mean, summary.rms, summary.absmax) == (Some(0.0), Some(1.0), Some(1.0)),
        (ids.mean, ids.rms, ids.absmax) == (None, None, None) && ids.samples == [4.0, 1.0],
        trace.source().len() == 6 && trace.explained().is_none(),
    ];
    match seen.iter().position(|seen| !seen) {
        Some(wrong) => Err(format!("fact {wrong} of the trace is read wrongly").into()),
        None => Ok(()),
    }
}

fn missing() -> Result<(), Failure> {
    red(Trace::open(Oracle::LlamaCpp, "no-such-model", "short"), "No such file")
}

fn cut() -> Result<(), Failure> {
    let whole = trace(6.0);
    for length in 0..whole.len() {
        if Trace::parse("x", &page(), &whole[..length], &hex(MODEL)).is_ok() {
            return Err(format!("read after {length} of {} bytes", whole.len()).into());
        }
    }
    red(Trace::parse("x", &page(), &[&whole[..], &[0]].concat(), &hex(MODEL)), "bytes")
}

fn not_finite() -> Result<(), Failure> {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        red(Trace::parse("x", &page(), &trace(value), &hex(MODEL)), "result_output: element 5")?;
    }
    let nan = page().replace("nmse = \"0x1p-9\"", "nmse = \"nan\"");
    red(Trace::parse("x", &nan, &trace(6.0), &hex(MODEL)), "not finite")?;
    let sample = page().replace("samples = \"0x1p0 0x1p0\"", "samples = \"inf\"");
    red(Trace::parse("x", &sample, &trace(6.0), &hex(MODEL)), "not finite")
}

fn another_model() -> Result<(), Failure> {
    red(Trace::parse("x", &page(), &trace(6.0), &hex(b"another")), "lies here")
}

fn another_page() -> Result<(), Failure> {
    let read = |from: &str, to: &str| {
        Trace::parse("x", &page().replace(from, to), &trace(6.0), &hex(MODEL))
    };
    red(read("tokens = 2", "tokens = 3"), "number of ids")?;
    red(read("ids-sha256 = \"", "ids-sha256 = \"0"), "ids")?;
    red(read("rows = [0, 1]", "rows = [0]"), "rows of logits")?;
    red(read("rows = [0, 1]", "rows = [0, 2]"), "rows")?;
    red(read("oracle = \"somebody\"", "oracle = \"else\""), "oracle")?;
    red(read("twin-sha256 = \"00\"\n", ""), "twin-sha256")?;
    red(read("n-ctx", "n-cxt"), "unknown field")
}

const GREEDY: &str = "---\nsource: x\n---\n=== \"It \\\"was\"\nprompt:  1 2\nids:     3 4\n\
margins: 0.50000 1.25000\nleast:   0.50000\ntext:    \"a: b\"\n";

fn continuation() -> Result<(), Failure> {
    let read = parse_continuations(GREEDY)?;
    let one = read.first().ok_or("nothing is read")?;
    let read = (one.text.as_str(), &one.prompt[..], &one.ids[..], &one.margins[..]);
    if read != ("It \"was", &[1, 2], &[3, 4], &[0.5, 1.25]) {
        return Err(format!("{read:?}").into());
    }
    let wrong = [("0.50000 1.25000", "0.5"), ("1.25000", "NaN"), ("1.25", "-1.25"), ("3 4", "x")];
    for (from, to) in wrong.into_iter().chain([("margins", "margin"), ("=== ", ""), ("---\n", "")])
    {
        if parse_continuations(&GREEDY.replacen(from, to, 1)).is_ok() {
            return Err(format!("read with '{to}' in the place of '{from}'").into());
        }
    }
    Ok(())
}

const PERPLEXITY: &str = "---\nsource: x\n---\ntokens: 1030\nsha256: ab\nchunks: 2 of 512\n\
scored: 510\nfile: 3.5 +/- 0.25\ntwin: 3.25 +/- 0.125\n";

fn perplexity() -> Result<(), Failure> {
    let read = parse_perplexity(PERPLEXITY)?;
    let same = (read.file, read.twin, read.chunk) == ((3.5, 0.25), (3.25, 0.125), 512);
    if !same || read.sha256 != "ab" {
        return Err(format!("{read:?}").into());
    }
    let wrong =
        [("510", "511"), ("3.25", "NaN"), ("3.5 ", "inf "), ("2 of", "1 of"), ("1030", "0")];
    for (from, to) in wrong.into_iter().chain([("twin", "twins"), ("+/-", "+-")]) {
        if parse_perplexity(&PERPLEXITY.replacen(from, to, 1)).is_ok() {
            return Err(format!("read with '{to}' in the place of '{from}'").into());
        }
    }
    Ok(())
}

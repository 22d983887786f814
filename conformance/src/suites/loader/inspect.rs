//! What `inspect` prints: a stable JSON that loses nothing, and tables for people.

use super::{Scratch, equal, format, inspect_file, small};
use engine::loader::gguf::{Strings, Writer};
use harness::{Case, Failure, Run};
use serde_json::{Value, json};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("loader::inspect::json", json_of_small),
        Case::new("loader::inspect::json-loses-nothing", json_loses_nothing),
        Case::new("loader::inspect::json-keeps-order", json_keeps_order),
        Case::new("loader::inspect::json-f32-by-f64", json_f32),
        Case::new("loader::inspect::json-of-safetensors", json_of_safetensors),
        Case::new("loader::inspect::json-of-split-model", json_of_split),
        Case::new("loader::inspect::tables", tables),
        Case::new("loader::inspect::hostile-names-in-tables", hostile_names),
        Case::new("loader::inspect::warns-of-dirty-padding", dirty_padding),
    ]
}

/// `inspect --json` on a file that is sound.
fn json_text(scratch: &Scratch, writer: &Writer) -> Result<String, Failure> {
    let path = scratch.path("m.gguf");
    writer.write(&path)?;
    let (code, out, err) = inspect_file(&path, &["--json"]);
    equal("exit code and standard error", (code, err), (0, String::new()))?;
    Ok(out)
}

fn json_of_small(_: &mut Run) -> Result<(), Failure> {
    let out = json_text(&Scratch::new()?, &small()?)?;
    let wanted = concat!(
        r#"{"version":3,"alignment":32,"metadata":{"general.architecture":"llama"},"tensors":["#,
        r#"{"name":"first","type":"F32","shape":[4,2],"offset":0,"bytes":32},"#,
        r#"{"name":"second","type":"F32","shape":[3],"offset":32,"bytes":12}],"tokenizer":null,"#,
        r#""memory":{"error":"MissingKey: key \"llama.block_count\": wanted u32, "#,
        r#"but the file has no such key"}}"#,
        "\n"
    );
    equal("JSON", &*out, wanted)
}

fn json_loses_nothing(_: &mut Run) -> Result<(), Failure> {
    let exact = 1u64 << 53;
    let mut writer = Writer::new();
    writer
        .set("u8", 255u8)
        .set("u64", exact)
        .set("u64+", exact + 1)
        .set("i64-", -(exact as i64) - 1)
        .set("i64", i64::MIN)
        .set("f32", 1e-5f32)
        .set("f32-", -0.0f32)
        .set("nan", f32::from_bits(0x7fc1_2345))
        .set("inf", f64::NEG_INFINITY)
        .set("yes", true)
        .set("text", "a\"\u{0}\n\u{1f600}")
        .set("latin1", &b"caf\xe9"[..])
        .set("u64s", vec![1, u64::MAX])
        .set("f32s", vec![0.1f32, f32::INFINITY])
        .set("strings", [&b"ok"[..], b"\xff"].iter().collect::<Strings>())
        .set("none", Vec::<i32>::new());
    let out = json_text(&Scratch::new()?, &writer)?;
    let wanted = json!({
        "u8": 255, "u64": exact,
        "u64+": {"u64": "9007199254740993"},
        "i64-": {"i64": "-9007199254740993"},
        "i64": {"i64": "-9223372036854775808"},
        "f32": 1e-5, "f32-": -0.0,
        "nan": {"f32": "0x7fc12345"},
        "inf": {"f64": "0xfff0000000000000"},
        "yes": true,
        "text": "a\"\u{0}\n\u{1f600}",
        "latin1": {"bytes": "636166e9"},
        "u64s": [1, {"u64": "18446744073709551615"}],
        "f32s": [0.1, {"f32": "0x7f800000"}],
        "strings": ["ok", {"bytes": "ff"}],
        "none": [],
    });
    let found: Value = serde_json::from_str(&out)?;
    equal("metadata", &found["metadata"], &wanted)?;
    equal("the sign of zero", out.contains("\"f32-\":-0.0"), true)
}

fn json_keeps_order(_: &mut Run) -> Result<(), Failure> {
    let mut writer = Writer::new();
    writer.set("z", 1u8).set("a", 2u8).set("m", 3u8);
    let out = json_text(&Scratch::new()?, &writer)?;
    equal("order", out.contains(r#"{"z":1,"a":2,"m":3}"#), true)
}

/// Readers parse numbers as f64; rounding that to f32 must give the same bits.
fn json_f32(run: &mut Run) -> Result<(), Failure> {
    let mut bits = 0x1234_5678u32;
    let random = std::iter::repeat_with(|| {
        bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from_bits(bits)
    });
    let edges = [f32::MIN_POSITIVE, f32::MAX, f32::from_bits(1), f32::EPSILON, 0.1, 1.0 / 3.0];
    let values: Vec<f32> = random.filter(|v| v.is_finite()).take(100_000).chain(edges).collect();
    let mut writer = Writer::new();
    writer.set("all", values.clone());
    let found: Value = serde_json::from_str(&json_text(&Scratch::new()?, &writer)?)?;
    let found = found["metadata"]["all"].as_array().ok_or("no array")?;
    equal("values", found.len(), values.len())?;
    for (found, wanted) in found.iter().zip(&values) {
        let found = found.as_f64().ok_or("not a number")? as f32;
        equal("bits", found.to_bits(), wanted.to_bits())?;
    }
    run.figure("values", values.len() as f64, "");
    Ok(())
}

fn json_of_safetensors(_: &mut Run) -> Result<(), Failure> {
    let header = concat!(
        r#"{"__metadata__":{"format":"pt"},"#,
        r#""w":{"dtype":"F16","shape":[1,2],"data_offsets":[0,4]}}"#
    );
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 4]].concat();
    let scratch = Scratch::new()?;
    let path = scratch.file("w.safetensors", &bytes)?;
    let (code, out, _) = inspect_file(&path, &["--json"]);
    equal("exit code", code, 0)?;
    let wanted = json!({
        "version": null, "alignment": null, "metadata": {"format": "pt"},
        "tensors": [{"name": "w", "type": "F16", "shape": [1, 2], "offset": 0, "bytes": 4}],
        "tokenizer": null,
        "memory": null,
    });
    equal("JSON", serde_json::from_str::<Value>(&out)?, wanted)?;
    let (code, out, _) = inspect_file(&path, &["--check"]);
    equal("exit code", code, 0)?;
    equal("says what it is", out.contains("safetensors") && out.contains("checked: 1"), true)
}

fn json_of_split(_: &mut Run) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    for number in 0..2u16 {
        let mut writer = Writer::new();
        writer.set("split.no", number).set("split.count", 2u16).set("split.tensors.count", 2i32);
        writer.tensor(&format!("t{number}"), format("I8")?, &[1], [1]);
        writer.write(&scratch.path(&format!("m-0000{}-of-00002.gguf", number + 1)))?;
    }
    let (code, out, _) = inspect_file(&scratch.path("m-00001-of-00002.gguf"), &["--json"]);
    equal("exit code", code, 0)?;
    let found: Value = serde_json::from_str(&out)?;
    let names = [&found["tensors"][0]["name"], &found["tensors"][1]["name"]];
    equal("tensors", names, [&json!("t0"), &json!("t1")])
}

fn tables(_: &mut Run) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    let path = scratch.path("m.gguf");
    let mut writer = small()?;
    writer.set("llama.block_count", 24u32).set("general.name", "tiny");
    writer.set("tokenizer.ggml.tokens", (0..1000).map(|n| n.to_string()).collect::<Strings>());
    writer.tensor("third", format("MXFP4")?, &[32, 64], vec![0; 17 * 64]);
    writer.write(&path)?;
    let shows = |arguments: &[&str], words: &[&str], not: &[&str]| -> Result<(), Failure> {
        let (code, out, err) = inspect_file(&path, arguments);
        equal("exit code and standard error", (code, err), (0, String::new()))?;
        let lacks = words.iter().find(|word| !out.contains(**word));
        let surplus = not.iter().find(|word| out.contains(**word));
        match (lacks, surplus) {
            (None, None) => Ok(()),
            (lacks, surplus) => Err(format!("lacks {lacks:?}, has {surplus:?}:\n{out}").into()),
        }
    };
    let summary =
        ["llama", "tiny", "layers", "24", "vocabulary", "1000", "MXFP4", "1.1 KiB", "2.1 K"];
    shows(&[], &summary, &["third"])?;
    shows(&[], &["1000 × [\"0\", \"1\", \"2\", \"3\", \"4\", …]"], &["999"])?;
    shows(&["--tensors"], &["first", "third", "[32, 64]", "1.1 KiB"], &["vocabulary"])?;
    shows(&["--metadata"], &["llama.block_count", "u32", "24"], &["third", "vocabulary"])?;
    shows(&["--tensors", "--metadata"], &["third", "llama.block_count"], &["vocabulary"])?;
    shows(&["--check"], &["checked: 3 tensors", "finite"], &[])
}

fn hostile_names(_: &mut Run) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    let path = scratch.path("m.gguf");
    let mut writer = Writer::new();
    writer.set("general.architecture", "\u{1b}]0;title\u{7}");
    writer.set("evil\u{1b}[2J\n", "\r\u{202e}value");
    writer.tensor("name\u{1b}[31m\n", format("I8")?, &[1], [1]);
    writer.write(&path)?;
    let (code, out, _) = inspect_file(&path, &["--tensors", "--metadata"]);
    let (code_all, out_all, _) = inspect_file(&path, &[]);
    equal("exit codes", (code, code_all), (0, 0))?;
    let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    let found = out.chars().chain(out_all.chars()).find(|c| bad(*c));
    equal("control characters", found, None)?;
    equal("escaped", out.contains("name\\u{1b}[31m\\n"), true)
}

fn dirty_padding(_: &mut Run) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    let mut bytes = small()?.to_bytes()?;
    let end = bytes.len();
    bytes[end - 1] = 0xff;
    let path = scratch.file("m.gguf", &bytes)?;
    let (code, _, err) = inspect_file(&path, &["--json"]);
    equal("exit code", code, 0)?;
    let words = ["warning", "NonZeroPad", &format!("byte {}", end - 1), "0xff"];
    super::says(err.trim_end(), &words)
}

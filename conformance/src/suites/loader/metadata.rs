//! Typed getters: strict, and their errors name key, wanted and found.

use super::{equal, refused};
use engine::error::Class;
use engine::loader::gguf::{Layout, Metadata, Strings, Writer};
use harness::{Case, Failure, Run};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("loader::metadata::getters", getters),
        Case::new("loader::metadata::wrong-type", wrong_type),
        Case::new("loader::metadata::missing", missing),
        Case::new("loader::metadata::not-utf8", not_utf8),
        Case::new("loader::metadata::hostile-text-in-messages", hostile_text),
        Case::new("loader::metadata::set-and-retain", set_and_retain),
    ]
}

/// As a reader sees it, not as it was built.
fn sample() -> Result<Metadata, Failure> {
    let mut writer = Writer::new();
    writer
        .set("u16", 7u16)
        .set("u32", 8u32)
        .set("u64", 9u64)
        .set("i32", -3i32)
        .set("f32", 1e-5f32)
        .set("bool", true)
        .set("str", "text")
        .set("latin1", &b"caf\xe9"[..])
        .set("strings", [&b"one"[..], b"", b"\xff"].iter().collect::<Strings>())
        .set("i32s", vec![-1i32, 2])
        .set("u32s", vec![1u32, 2])
        .set("f32s", vec![0.5f32])
        .set("bools", vec![true, false]);
    Ok(Layout::parse(&writer.to_bytes()?)?.metadata)
}

fn getters(_: &mut Run) -> Result<(), Failure> {
    let metadata = sample()?;
    equal("u16", metadata.u16("u16")?, 7)?;
    equal("u32", metadata.u32("u32")?, 8)?;
    equal("u64", metadata.u64("u64")?, 9)?;
    equal("i32", metadata.i32("i32")?, -3)?;
    equal("f32", metadata.f32("f32")?, 1e-5)?;
    equal("bool", metadata.bool("bool")?, true)?;
    equal("str", metadata.str("str")?, "text")?;
    equal("bytes", metadata.bytes("latin1")?, b"caf\xe9")?;
    equal("i32s", metadata.i32s("i32s")?, &[-1, 2])?;
    equal("u32s", metadata.u32s("u32s")?, &[1, 2])?;
    equal("f32s", metadata.f32s("f32s")?, &[0.5])?;
    equal("bools", metadata.bools("bools")?, &[true, false])?;
    let strings = metadata.strings("strings")?;
    equal("strings", strings.iter().collect::<Vec<_>>(), vec![&b"one"[..], b"", b"\xff"])?;
    equal("string 2", strings.get(2), Some(&b"\xff"[..]))?;
    equal("string 3", strings.get(3), None)?;
    equal("optional, there", metadata.opt_u32("u32")?, Some(8))?;
    equal("optional, not there", metadata.opt_u32("none")?, None)?;
    equal("optional string, not there", metadata.opt_str("none")?, None)
}

fn wrong_type(_: &mut Run) -> Result<(), Failure> {
    let metadata = sample()?;
    let class = Class::WrongType;
    refused(metadata.u32("u64"), class, &["key \"u64\"", "wanted u32", "found u64 9"])?;
    refused(metadata.u64("u32"), class, &["wanted u64", "found u32 8"])?;
    refused(metadata.u32("i32"), class, &["wanted u32", "found i32 -3"])?;
    refused(metadata.f32("u32"), class, &["wanted f32", "found u32 8"])?;
    refused(metadata.bool("u32"), class, &["wanted bool", "found u32 8"])?;
    refused(metadata.str("u32"), class, &["wanted string", "found u32 8"])?;
    refused(metadata.u32("str"), class, &["wanted u32", "found string \"text\""])?;
    refused(metadata.u32("u32s"), class, &["wanted u32", "found array of 2 u32"])?;
    refused(metadata.i32s("u32s"), class, &["wanted array of i32", "found array of 2 u32"])?;
    refused(metadata.strings("str"), class, &["wanted array of string", "found string"])?;
    refused(metadata.opt_f32("bool"), class, &["wanted f32", "found bool true"])
}

fn missing(_: &mut Run) -> Result<(), Failure> {
    let metadata = sample()?;
    let words = ["key \"llama.block_count\"", "wanted u32"];
    refused(metadata.u32("llama.block_count"), Class::MissingKey, &words)?;
    refused(metadata.str("none"), Class::MissingKey, &["key \"none\"", "wanted string"])?;
    refused(metadata.strings("none"), Class::MissingKey, &["wanted array of string"])
}

fn not_utf8(_: &mut Run) -> Result<(), Failure> {
    let words = ["key \"latin1\"", "byte 3", "caf\\xe9"];
    refused(sample()?.str("latin1"), Class::InvalidUtf8, &words)
}

fn hostile_text(_: &mut Run) -> Result<(), Failure> {
    let mut metadata = Metadata::default();
    let key = "evil\n\u{1b}[31m\u{202e}";
    metadata.set(key, "a\tb\r\n\u{7f}\u{0}'\"");
    let words = ["evil\\n\\u{1b}[31m\\u{202e}", "a\\tb\\r\\n\\u{7f}\\0'\\\""];
    refused(metadata.u32(key), Class::WrongType, &words)?;
    metadata.set("long", "x".repeat(1 << 20).as_str());
    refused(metadata.u32("long"), Class::WrongType, &["x…\" (1048576 bytes)"])?;
    metadata.set("bytes", &[0xf0u8; 1000][..]);
    refused(metadata.u32("bytes"), Class::WrongType, &["\\xf0\\xf0", "(1000 bytes)"])?;
    match metadata.u32("long") {
        Err(e) if e.to_string().len() < 400 => Ok(()),
        other => Err(format!("a message of its own megabyte: {other:?}").into()),
    }
}

fn set_and_retain(_: &mut Run) -> Result<(), Failure> {
    let mut metadata = sample()?;
    let count = metadata.len();
    metadata.set("u32", 80u32).set("new", 1u8);
    equal("length", metadata.len(), count + 1)?;
    equal("replaced", metadata.u32("u32")?, 80)?;
    equal("order", metadata.iter().nth(1).map(|(key, _)| key), Some("u32"))?;
    metadata.retain(|key| key.ends_with('s'));
    let keys: Vec<&str> = metadata.iter().map(|(key, _)| key).collect();
    equal("kept", keys, vec!["strings", "i32s", "u32s", "f32s", "bools"])?;
    equal("found after retain", metadata.u32s("u32s")?, &[1, 2])?;
    equal("gone", metadata.get("u32"), None)
}

//! What the writer writes, the reader accepts, and writes back byte for byte.

use super::{Scratch, equal, format, numbers, refused, small};
use crate::property;
use engine::error::Class;
use engine::loader::gguf::{Layout, Strings, Writer};
use engine::loader::{Gguf, Value};
use engine::quant::FORMATS;
use harness::{Case, Failure, Run};
use proptest::collection::vec;
use proptest::prelude::*;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("loader::round-trip::every-value-type", every_value_type),
        Case::new("loader::round-trip::every-format", every_format),
        Case::new("loader::round-trip::versions-and-alignments", versions_and_alignments),
        Case::new("loader::round-trip::no-tensors", no_tensors),
        Case::new("loader::round-trip::streamed-in-pieces", streamed_in_pieces),
        Case::new("loader::round-trip::wrong-data-is-refused", wrong_data_is_refused),
        Case::new("loader::round-trip::nothing-unfinished-appears", nothing_unfinished_appears),
        Case::new("loader::round-trip::writer-refuses-what-reader-refuses", bad_plans),
        property::case_with(
            "loader::round-trip::random-files",
            (vec((".{1,20}", any_value()), 0..8), vec((vec(1u64..5, 0..=4), 0..100u8), 0..6)),
            |(keys, tensors)| format!("keys = {:?}\ntensors = {:?}", format!("{keys:?}"), tensors),
            |(keys, tensors)| random_file(keys, tensors),
        ),
    ]
}

/// Reads `bytes`, writes them again, and demands the same bytes.
fn comes_back(bytes: &[u8]) -> Result<Layout, Failure> {
    let layout = Layout::parse(bytes)?;
    let mut stream = Writer::like(&layout).stream(Vec::new(), "memory".as_ref())?;
    for tensor in &layout.tensors {
        let range = tensor.file_range();
        stream.push(&bytes[range.start as usize..range.end as usize])?;
    }
    let again = stream.finish()?;
    if again != bytes {
        let at = again.iter().zip(bytes).position(|(a, b)| a != b);
        let sizes = (bytes.len(), again.len());
        return Err(format!("written again, byte {at:?} differs (sizes {sizes:?})").into());
    }
    Ok(layout)
}

fn every_value_type(_: &mut Run) -> Result<(), Failure> {
    let strings: Strings = [&b"a"[..], b"", b"\xff\xfe", b"\0", "ü".as_bytes()].iter().collect();
    let values: Vec<Value> = vec![
        u8::MAX.into(),
        i8::MIN.into(),
        u16::MAX.into(),
        i16::MIN.into(),
        u32::MAX.into(),
        i32::MIN.into(),
        f32::from_bits(0x7fc1_2345).into(),
        true.into(),
        false.into(),
        "text".into(),
        "".into(),
        (&b"\xff\x00\xfe"[..]).into(),
        u64::MAX.into(),
        i64::MIN.into(),
        f64::from_bits(0x7ff8_0000_dead_beef).into(),
        vec![0u8, 255].into(),
        vec![-128i8, 127].into(),
        vec![0u16, 65535].into(),
        vec![i16::MIN].into(),
        vec![1u32, 2, 3].into(),
        vec![-1i32].into(),
        vec![f32::NAN, -0.0, f32::INFINITY].into(),
        vec![true, false, true].into(),
        strings.into(),
        vec![u64::MAX].into(),
        vec![i64::MIN].into(),
        vec![f64::MIN_POSITIVE].into(),
        Vec::<u8>::new().into(),
        Strings::default().into(),
    ];
    let mut writer = Writer::new();
    for (index, value) in values.iter().enumerate() {
        writer.set(&format!("key.{index}"), value.clone());
    }
    let layout = comes_back(&writer.to_bytes()?)?;
    equal("number of keys", layout.metadata.len(), values.len())?;
    for (index, (wanted, (key, found))) in values.iter().zip(layout.metadata.iter()).enumerate() {
        equal("key", key, &format!("key.{index}"))?;
        // Through Debug, because a NaN does not equal itself; the bits were compared above.
        equal(key, format!("{found:?}"), format!("{wanted:?}"))?;
    }
    Ok(())
}

fn every_format(run: &mut Run) -> Result<(), Failure> {
    let mut writer = Writer::new();
    for format in FORMATS {
        let data: Vec<u8> = (0..format.block_bytes * 6).map(|byte| byte as u8).collect();
        writer.tensor(format.name, format, &[format.block_len as u64 * 2, 3], data);
    }
    let layout = comes_back(&writer.to_bytes()?)?;
    for (tensor, format) in layout.tensors.iter().zip(FORMATS) {
        equal("format", tensor.format.id, format.id)?;
        equal(format.name, tensor.bytes, format.block_bytes as u64 * 6)?;
        equal("padding", tensor.offset % 32, 0)?;
    }
    run.figure("formats", layout.tensors.len() as f64, "");
    Ok(())
}

fn versions_and_alignments(_: &mut Run) -> Result<(), Failure> {
    for version in [2, 3] {
        for alignment in [1u32, 2, 8, 32, 64, 4096, 1 << 20] {
            let mut writer = small()?;
            writer.version(version).set("general.alignment", alignment);
            let layout = comes_back(&writer.to_bytes()?)?;
            equal("version", layout.version, version)?;
            equal("alignment", layout.alignment, alignment)?;
            for tensor in &layout.tensors {
                equal("misalignment", tensor.file_range().start % u64::from(alignment), 0)?;
            }
        }
    }
    Ok(())
}

fn no_tensors(_: &mut Run) -> Result<(), Failure> {
    let bytes = Writer::new().to_bytes()?;
    equal("size of an empty file", bytes.len(), 24)?;
    comes_back(&bytes)?;
    let bytes = Writer::new().set("only", 1u8).to_bytes()?;
    equal("size with one key", bytes.len(), 24 + 8 + 4 + 4 + 1)?;
    comes_back(&bytes).map(|_| ())
}

fn streamed_in_pieces(_: &mut Run) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    let (writer, whole) = (small()?, small()?.to_bytes()?);
    for piece in [1, 3, 4, 100] {
        let path = scratch.path("streamed.gguf");
        let mut stream = writer.create(&path)?;
        for count in [8, 3] {
            for part in numbers(count).chunks(piece) {
                stream.push(part)?;
            }
        }
        stream.finish_file()?;
        equal("streamed bytes", &std::fs::read(&path)?, &whole)?;
    }
    let file = Gguf::open(&scratch.path("streamed.gguf"))?;
    let second = file.tensor("second").ok_or("no tensor `second`")?;
    equal("second", second.data, &numbers(3))
}

fn wrong_data_is_refused(_: &mut Run) -> Result<(), Failure> {
    let stream = || small()?.stream(Vec::new(), "memory".as_ref()).map_err(Failure::from);
    let words = ["tensor \"first\"", "32"];
    refused(stream()?.push(&numbers(9)), Class::ShapeMismatch, &words)?;
    refused(stream()?.push(&[]), Class::ShapeMismatch, &words)?;
    refused(stream()?.finish(), Class::ShapeMismatch, &["\"first\"", "0 of 32"])?;
    let mut short = stream()?;
    short.push(&numbers(8))?;
    short.push(&numbers(2))?;
    refused(short.finish(), Class::ShapeMismatch, &["\"second\"", "8 of 12"])?;
    let mut long = stream()?;
    long.push(&numbers(8))?;
    long.push(&numbers(3))?;
    refused(long.push(&[0]), Class::ShapeMismatch, &["1 bytes more"])
}

fn nothing_unfinished_appears(_: &mut Run) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    let path = scratch.file("model.gguf", b"what was there before")?;
    let mut stream = small()?.create(&path)?;
    stream.push(&numbers(8))?;
    drop(stream);
    equal("the file", std::fs::read(&path)?, b"what was there before".to_vec())?;
    let left = std::fs::read_dir(scratch.0.path())?.count();
    equal("files left in the folder", left, 1)
}

fn bad_plans(_: &mut Run) -> Result<(), Failure> {
    let f32s = format("F32")?;
    let tensor = |name: &str, shape: &[u64]| {
        let mut writer = Writer::new();
        writer.declare(name, f32s, shape);
        writer.head().map(|_| ())
    };
    refused(tensor("", &[1]), Class::EmptyName, &[])?;
    refused(tensor(&"n".repeat(64), &[1]), Class::NameTooLong, &["64", "63"])?;
    refused(tensor("a", &[0]), Class::ZeroDim, &["\"a\""])?;
    refused(tensor("a", &[1; 5]), Class::BadNDims, &["5"])?;
    refused(tensor("a", &[1 << 40, 1 << 40]), Class::ShapeOverflow, &["\"a\""])?;
    let key = |key: &str, value: Value| Writer::new().set(key, value).head().map(|_| ());
    refused(key("", 1u8.into()), Class::EmptyKey, &[])?;
    refused(key("a\0b", 1u8.into()), Class::InvalidKey, &["\\0"])?;
    refused(key("general.alignment", 24u32.into()), Class::BadAlignment, &["24"])?;
    refused(key("general.alignment", 32u64.into()), Class::WrongType, &["u32", "u64 32"])?;
    refused(Writer::new().version(1).head(), Class::BadVersion, &["1"])?;
    let twice = {
        let mut writer = Writer::new();
        writer.declare("a", f32s, &[1]).declare("a", f32s, &[1]);
        writer.head()
    };
    refused(twice, Class::DuplicateName, &["\"a\"", "tensor 1", "tensor 0"])
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<u8>().prop_map(Value::from),
        any::<i16>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<u32>().prop_map(|bits| f32::from_bits(bits).into()),
        any::<bool>().prop_map(Value::from),
        vec(any::<u8>(), 0..30).prop_map(|bytes| Value::from(&bytes[..])),
        vec(any::<i64>(), 0..5).prop_map(Value::from),
        vec(any::<bool>(), 0..5).prop_map(Value::from),
        vec(vec(any::<u8>(), 0..9), 0..5)
            .prop_map(|strings| strings.iter().collect::<Strings>().into()),
    ]
}

fn random_file(keys: &[(String, Value)], tensors: &[(Vec<u64>, u8)]) -> Result<(), Failure> {
    let mut writer = Writer::new();
    for (index, (key, value)) in keys.iter().enumerate() {
        writer.set(&format!("{index}{}", key.replace('\0', "")), value.clone());
    }
    for (index, (shape, pick)) in tensors.iter().enumerate() {
        let format = &FORMATS[usize::from(*pick) % FORMATS.len()];
        let mut shape = shape.clone();
        match shape.first_mut() {
            Some(row) => *row *= format.block_len as u64,
            None if format.block_len > 1 => shape.push(format.block_len as u64),
            None => {}
        }
        let elements: u64 = shape.iter().product();
        let bytes = elements as usize / format.block_len * format.block_bytes;
        writer.tensor(&format!("t{index}"), format, &shape, vec![index as u8; bytes]);
    }
    let layout = comes_back(&writer.to_bytes()?)?;
    equal("warnings", layout.warnings, vec![])
}

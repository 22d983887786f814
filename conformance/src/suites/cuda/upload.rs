//! Weights that hold what is no number are refused when they are taken in, by the device itself.

use crate::subject::{Machine, OnCuda};
use engine::adapters::Role;
use engine::backend::Backend;
use engine::error::Class;
use engine::loader::Gguf;
use engine::loader::gguf::Writer;
use engine::quant::{FORMATS, Format, Stored};
use harness::{Case, Failure};
use std::sync::Arc;

pub(super) fn cases() -> Vec<Case> {
    let formats = FORMATS.iter().filter(|format| format.scalar.is_some());
    let floats = formats.flat_map(|format| format.floats.iter().map(move |float| (format, *float)));
    floats
        .map(|(format, float)| {
            let float_name = format!("{float:?}").to_lowercase().replace(['(', ')'], "-");
            let name = format!("cuda::upload::{}::{float_name}no-number", format.name);
            Case::new(name, move |_| refused(format, float)).needs("cuda").requirements(["W11"])
        })
        .collect()
}

/// Blocks, of which the last but one is to be spoilt.
const BLOCKS: usize = 700;

fn refused(format: &'static Format, float: Stored) -> Result<(), Failure> {
    let mut bytes = vec![0u8; BLOCKS * format.block_bytes];
    accepts(format, &bytes)?;
    let spoilt = BLOCKS - 2;
    let block = &mut bytes[spoilt * format.block_bytes..];
    match float {
        Stored::F16(at) => block[at..at + 2].copy_from_slice(&0x7e01u16.to_le_bytes()),
        Stored::Bf16(at) => block[at..at + 2].copy_from_slice(&0xff80u16.to_le_bytes()),
        Stored::F32(at) => block[at..at + 4].copy_from_slice(&f32::INFINITY.to_le_bytes()),
        Stored::E8m0(at) => block[at] = 255,
        Stored::Ue4m3(at) => block[at] = 127,
        other => return Err(format!("{}: {other:?} is not decoded", format.name).into()),
    }
    match upload(format, &bytes)? {
        Ok(()) => Err("it was taken in".into()),
        Err(error) if error.class() != Some(Class::NonFinite) => Err(error.into()),
        Err(error) => {
            let text = error.to_string();
            match ["weight.x", &format!("block {spoilt} "), format.name]
                .iter()
                .all(|part| text.contains(part))
            {
                true => Ok(()),
                false => Err(format!("neither tensor nor block {spoilt}: {text}").into()),
            }
        }
    }
}

fn accepts(format: &'static Format, bytes: &[u8]) -> Result<(), Failure> {
    Ok(upload(format, bytes)??)
}

fn upload(format: &'static Format, bytes: &[u8]) -> Result<engine::error::Result<()>, Failure> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("weights.gguf");
    let width = (bytes.len() / format.block_bytes * format.block_len) as u64;
    let mut writer = Writer::new();
    writer.set("general.architecture", "none");
    writer.tensor("weight.x", format, &[width, 1], bytes.to_vec());
    writer.write(&path)?;
    let file = Arc::new(Gguf::open(&path)?);
    Ok(OnCuda::open()?.upload(&file, 0, Role::Matrix).map(drop))
}

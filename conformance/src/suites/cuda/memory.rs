//! Every byte has an owner, lies on the device, and comes back.

use super::case;
use crate::subject::{Machine, OnCuda, loaded_kernels};
use engine::backend::Backend;
use engine::backend::cuda::{Buffer, Context, Cuda, Owner};
use engine::error::Error;
use harness::{Case, Failure};
use std::sync::Arc;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("memory::every-byte-has-an-owner-and-comes-back", owners),
        case("memory::too-much-is-refused-with-numbers", too_much).requirements(["F05"]),
        case("memory::is-on-the-device", resident).requirements(["F19"]),
        case("memory::a-second-pass-asks-for-none", no_more),
        case("memory::a-hundred-times-leaves-nothing", hundred_times),
    ]
}

fn context() -> Result<Arc<Context>, Failure> {
    Ok(loaded_kernels()?.context().clone())
}

fn owners() -> Result<(), Failure> {
    let context = context()?;
    let before = context.ledger();
    let sizes = [1_000_003, 77, 0, 4096];
    let held: Vec<Buffer> = Owner::ALL
        .into_iter()
        .zip(sizes)
        .map(|(owner, bytes)| Buffer::new(&context, owner, "a case", bytes))
        .collect::<Result<_, _>>()?;
    let during = context.ledger();
    for (owner, bytes) in Owner::ALL.into_iter().zip(sizes) {
        let more = during.held(owner) - before.held(owner);
        if more != bytes {
            return Err(format!("{owner}: {more} bytes are counted, not {bytes}").into());
        }
    }
    drop(held);
    let after = context.ledger();
    match Owner::ALL.iter().all(|owner| after.held(*owner) == before.held(*owner)) {
        true if during.peak() >= during.total() => Ok(()),
        _ => Err(format!("before {before:?}\nduring {during:?}\nafter {after:?}").into()),
    }
}

fn too_much() -> Result<(), Failure> {
    let context = context()?;
    let (_, total) = context.memory()?;
    let before = context.ledger();
    let bytes = total * 2;
    match Buffer::new(&context, Owner::Kv, "a case", bytes) {
        Err(Error::DeviceMemory { what, needs, has, total: all }) => {
            if what != "KV (a case)" || needs != bytes || has == 0 || has > all || all != total {
                return Err(format!("{what}: needs {needs}, has {has} of {all}").into());
            }
        }
        Err(other) => return Err(format!("another error: {other}").into()),
        Ok(_) => return Err("twice the device's memory was given".into()),
    }
    // A refusal costs nothing and breaks nothing.
    drop(Buffer::new(&context, Owner::Kv, "a case", 1 << 20)?);
    match context.ledger().total() == before.total() {
        true => Ok(()),
        false => Err("a refused allocation is counted".into()),
    }
}

fn resident() -> Result<(), Failure> {
    let context = context()?;
    for owner in Owner::ALL {
        if !Buffer::new(&context, owner, "a case", 1 << 16)?.is_resident()? {
            return Err(format!("{owner}: not plain device memory").into());
        }
    }
    Ok(())
}

/// What one pass let go of serves the next.
fn no_more() -> Result<(), Failure> {
    let mut backend = Cuda::on(&loaded_kernels()?, false)?;
    let pass = |backend: &mut Cuda| -> Result<(), Failure> {
        let mut rows = backend.write(301, &[1.0; 7 * 301])?;
        let part = backend.slice(&rows, 100, 50)?;
        let routing = backend.route(&part, 3)?;
        let other = backend.write(301, &[1.0; 7 * 301])?;
        backend.add(&mut rows, &other)?;
        drop((routing, part, other));
        backend.read(&rows)?;
        Ok(())
    };
    pass(&mut backend)?;
    let once = backend.context().ledger().allocations();
    for _ in 0..5 {
        pass(&mut backend)?;
    }
    match backend.context().ledger().allocations() - once {
        0 => Ok(()),
        more => Err(format!("{more} allocations after the first pass").into()),
    }
}

fn hundred_times() -> Result<(), Failure> {
    let context = context()?;
    let round = || -> Result<(), Failure> {
        let mut backend = OnCuda::open()?;
        let rows = backend.write(1024, &vec![1.0; 1 << 20])?;
        let _part = backend.slice(&rows, 0, 512)?;
        Ok(())
    };
    round()?;
    context.synchronize()?;
    let (before, _) = context.memory()?;
    (0..100).try_for_each(|_| round())?;
    context.synchronize()?;
    let (after, _) = context.memory()?;
    // The driver gives memory out in pieces of 2 MiB; a hundred lost rounds would be 600 MiB.
    match before.saturating_sub(after) <= 4 << 20 {
        true => Ok(()),
        false => Err(format!("{before} bytes free before, {after} after").into()),
    }
}

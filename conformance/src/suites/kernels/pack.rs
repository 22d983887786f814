//! `kernels::pack::` — a pack gives what was put in, the entry that fits best, and nothing damaged.

use engine::backend::cuda::pack::{Entry, Manifest, Pack, write};
use engine::backend::cuda::target;
use harness::{Case, Failure};

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, body: fn() -> Result<(), Failure>| {
        Case::new(format!("kernels::pack::{name}"), move |_| body()).requirements(["F17"])
    };
    vec![
        case("gives-back-what-was-put", gives_back),
        case("the-best-entry-is-taken", best),
        case("every-flipped-byte-and-every-cut-is-refused", damage),
    ]
}

const ENTRIES: [(&str, &str); 4] =
    [("add", "sm_80"), ("add", "sm_90a"), ("add", "compute_80"), ("norm", "sm_80")];

fn image(kernel: &str, target: &str) -> Vec<u8> {
    format!("code of {kernel} for {target}").into_bytes()
}

fn example() -> Result<Vec<u8>, Failure> {
    let entries = ENTRIES.map(|(kernel, target)| Entry {
        kernel: kernel.into(),
        target: target.into(),
        sources: format!("digest of {kernel}"),
        at: 0,
        bytes: 0,
        sha256: String::new(),
        usage: vec![],
    });
    let images = ENTRIES.map(|(kernel, target)| image(kernel, target));
    let manifest =
        Manifest { compiler: "NVRTC 0.0".into(), options: vec![], entries: entries.into() };
    Ok(write(manifest, &images)?)
}

fn gives_back() -> Result<(), Failure> {
    let bytes = example()?;
    let pack = Pack::read(&bytes)?;
    for (entry, (kernel, target)) in pack.manifest.entries.iter().zip(ENTRIES) {
        if (entry.kernel.as_str(), entry.target.as_str()) != (kernel, target)
            || pack.image(entry)? != image(kernel, target)
        {
            return Err(format!("{entry:?} is not what was put").into());
        }
    }
    match pack.manifest.entries.len() {
        4 => Ok(()),
        count => Err(format!("{count} entries of 4").into()),
    }
}

fn best() -> Result<(), Failure> {
    let bytes = example()?;
    let pack = Pack::read(&bytes)?;
    let digest = |kernel: &str| format!("digest of {kernel}");
    let taken = |kernel: &str, capability| {
        let targets = target::runnable(capability);
        pack.best(kernel, &digest(kernel), &targets).map(|entry| entry.target.clone())
    };
    let wants = [
        ("add", (8, 0), Some("sm_80")),
        ("add", (8, 6), Some("sm_80")),
        ("add", (9, 0), Some("sm_90a")),
        ("add", (12, 0), Some("compute_80")),
        ("norm", (9, 0), None),
        ("other", (8, 0), None),
    ];
    for (kernel, capability, want) in wants {
        let got = taken(kernel, capability);
        if got.as_deref() != want {
            return Err(format!("{kernel} on {capability:?}: {got:?}, wanted {want:?}").into());
        }
    }
    match pack.best("add", "digest of newer sources", &target::runnable((8, 0))) {
        Some(stale) => Err(format!("an entry of other sources is taken: {stale:?}").into()),
        None => Ok(()),
    }
}

/// Reads a pack and every entry of it.
fn whole(bytes: &[u8]) -> bool {
    let Ok(pack) = Pack::read(bytes) else { return false };
    pack.manifest.entries.iter().all(|entry| pack.image(entry).is_ok())
}

fn damage() -> Result<(), Failure> {
    let bytes = example()?;
    if !whole(&bytes) {
        return Err("the example is refused itself".into());
    }
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 4;
        if whole(&flipped) || whole(&bytes[..at]) {
            return Err(format!("damage at byte {at} of {} is not seen", bytes.len()).into());
        }
    }
    Ok(())
}

//! `kernels::cache::` — what is on disk is what was written, or it is nothing.

use engine::backend::cuda::cache::Cache;
use harness::{Case, Failure};

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, body: fn() -> Result<(), Failure>| {
        Case::new(format!("kernels::cache::{name}"), move |_| body()).requirements(["F54"])
    };
    vec![
        case("gives-back-what-was-put", gives_back),
        case("every-flipped-bit-and-every-cut-is-a-miss", damage),
        case("readers-see-whole-entries", readers),
        case("a-folder-that-cannot-be-made-is-no-error", unwritable),
    ]
}

fn image() -> Vec<u8> {
    (0..=255).collect()
}

fn gives_back() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let cache = Cache::at(folder.path().join("not/yet/there"));
    if cache.get("k").is_some() {
        return Err("an empty cache has an entry".into());
    }
    if !cache.put("k", &image()) || !cache.put("other", b"") {
        return Err("nothing was stored".into());
    }
    let left: Vec<_> = std::fs::read_dir(folder.path().join("not/yet/there"))?.collect();
    match cache.get("k") == Some(image()) && cache.get("other") == Some(vec![]) && left.len() == 2 {
        true => Ok(()),
        false => Err(format!("not what was put, or more: {left:?}").into()),
    }
}

fn damage() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let cache = Cache::at(folder.path());
    cache.put("k", &image());
    let whole = std::fs::read(cache.path("k"))?;
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        for (what, entry) in [("flipped", &flipped[..]), ("cut", &whole[..at])] {
            std::fs::write(cache.path("k"), entry)?;
            if cache.get("k").is_some() {
                return Err(format!("an entry {what} at byte {at} is used").into());
            }
        }
    }
    cache.put("k", &image());
    match cache.get("k") == Some(image()) {
        true => Ok(()),
        false => Err("a damaged entry is not replaced".into()),
    }
}

/// Writers replace an entry while others read it.
fn readers() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let cache = Cache::at(folder.path());
    cache.put("k", &image());
    let torn = std::thread::scope(|scope| {
        let write = |byte: u8| {
            let cache = &cache;
            move || (0..50).filter(|_| cache.put("k", &[byte; 100_000])).count()
        };
        scope.spawn(write(1));
        scope.spawn(write(2));
        (0..200).filter(|_| cache.get("k").is_none()).count()
    });
    match torn {
        0 => Ok(()),
        torn => Err(format!("{torn} of 200 reads found no whole entry").into()),
    }
}

fn unwritable() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("file");
    std::fs::write(&file, "in the way")?;
    let cache = Cache::at(file.join("folder"));
    match cache.put("k", &image()) || cache.get("k").is_some() {
        true => Err("a file was taken for a folder".into()),
        false => Ok(()),
    }
}

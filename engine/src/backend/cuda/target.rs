//! Which compiled code runs on which device, as data. Knows names of architectures; asks nobody.

/// Families of architectures that one binary serves: the first capability, and the code's name.
const FAMILIES: &[(u32, &str)] = &[(10, "sm_100f"), (12, "sm_120f")];

/// What a release is built for: every generation, and PTX for those that are not out yet.
pub const RELEASED: &[&str] =
    &["sm_80", "sm_86", "sm_89", "sm_90a", "sm_100f", "sm_120f", "compute_80"];

/// What a device of `capability` can run, best first: code for exactly it, code for its family,
/// code for an older member of its generation, and PTX that the driver compiles.
pub fn runnable(capability: (u32, u32)) -> Vec<String> {
    let (major, minor) = capability;
    let mut names = vec![exact(capability)];
    if major >= 9 {
        names.push(format!("sm_{major}{minor}"));
    }
    let families = FAMILIES.iter().filter(|(family, _)| *family == major);
    names.extend(families.map(|(_, name)| (*name).to_owned()));
    // Within a generation, and only there, code for an older device runs on a newer one.
    names.extend((0..minor).rev().map(|minor| format!("sm_{major}{minor}")));
    let ptx = [(major, minor), (9, 0), (8, 0)].into_iter().filter(|ptx| *ptx <= capability);
    names.extend(ptx.map(|(major, minor)| format!("compute_{major}{minor}")));
    names.dedup();
    names
}

/// The code made for exactly this device. From Hopper on it may use what no other device has.
pub fn exact((major, minor): (u32, u32)) -> String {
    let special = if major >= 9 { "a" } else { "" };
    format!("sm_{major}{minor}{special}")
}

/// Whether a compiler gives PTX text for this target instead of a device's own code.
pub fn is_ptx(target: &str) -> bool {
    target.starts_with("compute_")
}

/// Whether a word names a target at all: `sm_86`, `sm_90a`, `sm_100f`, `compute_80`.
pub fn is_target(word: &str) -> bool {
    let number = word.strip_prefix("sm_").or_else(|| word.strip_prefix("compute_"));
    let digits = number.map(|number| number.trim_end_matches(['a', 'f']));
    digits.is_some_and(|digits| {
        (2..=3).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

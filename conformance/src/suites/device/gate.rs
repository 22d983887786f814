//! `device::gate::` and `device::target::` — the tables of devices, with devices that nobody has.

use engine::backend::cuda::gate::{self, MINIMUM, TIERS};
use engine::backend::cuda::target;
use harness::{Case, Failure};

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, body: fn() -> Result<(), Failure>| {
        Case::new(format!("device::{name}"), move |_| body())
    };
    vec![
        case("gate::accepts", accepts),
        case("gate::refuses", refuses),
        case("gate::every-capability-has-one-tier", one_tier_each),
        case("gate::a-tier-speaks-of-speed", speed_only),
        case("target::order", order),
        case("target::released-code-serves-every-accepted-device", released),
        case("target::words", words),
    ]
}

/// Real devices and the generation each belongs to.
const DEVICES: &[(&str, (u32, u32), &str)] = &[
    ("NVIDIA A100-SXM4-80GB", (8, 0), "Ampere"),
    ("NVIDIA GeForce RTX 3090", (8, 6), "Ampere"),
    ("Orin", (8, 7), "Ampere"),
    ("NVIDIA GeForce RTX 4090", (8, 9), "Ada"),
    ("NVIDIA H100 80GB HBM3", (9, 0), "Hopper"),
    ("NVIDIA B200", (10, 0), "Blackwell or newer"),
    ("NVIDIA B300", (10, 3), "Blackwell or newer"),
    ("NVIDIA GeForce RTX 5090", (12, 0), "Blackwell or newer"),
    ("NVIDIA GB10", (12, 1), "Blackwell or newer"),
    ("a device of the next decade", (20, 0), "Blackwell or newer"),
];

fn accepts() -> Result<(), Failure> {
    for (name, capability, generation) in DEVICES {
        let tier = gate::tier(name, *capability)?;
        if tier.name != *generation {
            return Err(format!("{name} is {}, wanted {generation}", tier.name).into());
        }
    }
    Ok(())
}

fn refuses() -> Result<(), Failure> {
    let old = [("Tesla V100", (7, 0)), ("NVIDIA T4", (7, 5)), ("Tesla K80", (3, 7)), ("?", (0, 0))];
    for (name, capability) in old {
        let Err(refusal) = gate::tier(name, capability) else {
            return Err(format!("{name} is accepted").into());
        };
        let text = refusal.to_string();
        let has = format!("{}.{}", capability.0, capability.1);
        for part in [name, has.as_str(), "8.0", "--backend cpu"] {
            if !text.contains(part) {
                return Err(format!("no '{part}' in: {text}").into());
            }
        }
    }
    Ok(())
}

fn one_tier_each() -> Result<(), Failure> {
    if TIERS.first().map(|tier| tier.from) != Some(MINIMUM) {
        return Err("the first tier does not start at the minimum".into());
    }
    for pair in TIERS.windows(2) {
        if pair[0].until != pair[1].from {
            return Err(format!("a gap or overlap between {:?} and {:?}", pair[0], pair[1]).into());
        }
    }
    Ok(())
}

/// Accuracy is judged alike on every device, so no tier may promise more or less of it.
fn speed_only() -> Result<(), Failure> {
    let banned = ["accura", "precis", "exact", "quality", "correct"];
    for tier in TIERS {
        if let Some(word) = banned.iter().find(|word| tier.speed.contains(**word)) {
            return Err(format!("{}: '{word}' in '{}'", tier.name, tier.speed).into());
        }
    }
    Ok(())
}

fn order() -> Result<(), Failure> {
    let wants: &[((u32, u32), &[&str])] = &[
        ((8, 0), &["sm_80", "compute_80"]),
        ((8, 9), &["sm_89", "sm_88", "sm_87", "sm_86", "sm_85"]),
        ((9, 0), &["sm_90a", "sm_90", "compute_90", "compute_80"]),
        ((10, 3), &["sm_103a", "sm_103", "sm_100f"]),
        ((12, 1), &["sm_121a", "sm_121", "sm_120f"]),
    ];
    for (capability, want) in wants {
        let got = target::runnable(*capability);
        if !want.iter().zip(&got).all(|(want, got)| want == got) || got.len() < want.len() {
            return Err(format!("{capability:?}: {got:?} does not start with {want:?}").into());
        }
    }
    Ok(())
}

fn released() -> Result<(), Failure> {
    for (name, capability, _) in DEVICES {
        let runnable = target::runnable(*capability);
        let best = runnable.iter().find(|name| target::RELEASED.contains(&name.as_str()));
        let best = best.ok_or_else(|| format!("no released code runs on {name}"))?;
        // PTX costs every user a compilation by the driver; only unknown generations may need it.
        if target::is_ptx(best) && capability.0 < 20 {
            return Err(format!("{name} is left to PTX: {runnable:?}").into());
        }
    }
    Ok(())
}

fn words() -> Result<(), Failure> {
    let good = ["sm_80", "sm_90a", "sm_100f", "compute_80", "sm_121a"];
    let bad = ["", "sm_", "sm_8", "90a", "sm_90ax", "sm_9x", "compute", "sm_1000"];
    if let Some(word) = good.iter().find(|word| !target::is_target(word)) {
        return Err(format!("'{word}' is no target").into());
    }
    match bad.iter().find(|word| target::is_target(word)) {
        Some(word) => Err(format!("'{word}' is a target").into()),
        None => Ok(()),
    }
}

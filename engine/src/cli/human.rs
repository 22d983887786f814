//! Numbers for people: sizes and counts with three digits and a unit.

const BYTES: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
const COUNTS: [&str; 7] = ["", "K", "M", "B", "T", "Q", "E"];

/// `12.3 GiB`.
pub(super) fn bytes(count: u64) -> String {
    scaled(count, 1024.0, BYTES)
}

/// `20.9 B`; thousands, as models are named.
pub(super) fn count(count: u64) -> String {
    scaled(count, 1000.0, COUNTS)
}

fn scaled(count: u64, base: f64, units: [&str; 7]) -> String {
    let mut value = count as f64;
    let mut unit = 0;
    // 999.95 would print as 1000.0.
    while value >= base - 0.05 && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    let text = match unit {
        0 => format!("{count} {}", units[0]),
        _ => format!("{value:.1} {}", units[unit]),
    };
    text.trim_end().to_owned()
}

//! How much memory a process may still take: what the system has, and what the groups that the
//! process is in have left.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};

/// Files of a control group of either version: limit, use, and the entry of `memory.stat` that says
/// how much of the use is pages of files that would be given up first.
struct Names {
    limit: &'static str,
    used: &'static str,
    idle: &'static str,
}

const SECOND: Names = Names { limit: "memory.max", used: "memory.current", idle: "inactive_file" };
const FIRST: Names = Names {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    idle: "total_inactive_file",
};

/// Bytes that could be had without putting anything aside; as many as one likes where nobody says.
/// `root` is where `proc` and `sys` are.
pub fn available(root: &Path) -> usize {
    let read = |path: &str| read_to_string(root.join(path)).unwrap_or_default();
    let meminfo = read("proc/meminfo");
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<usize>().ok());
    let system = kib.map_or(usize::MAX, |kib| kib << 10);
    let groups = root.join("sys/fs/cgroup");
    read("proc/self/cgroup").lines().fold(system, |least, line| {
        let mut parts = line.splitn(3, ':').skip(1);
        match (parts.next(), parts.next()) {
            (Some(""), Some(path)) => least.min(left(groups.clone(), path, &SECOND)),
            (Some(of), Some(path)) if of.split(',').any(|name| name == "memory") => {
                least.min(left(groups.join("memory"), path, &FIRST))
            }
            _ => least,
        }
    })
}

/// What a group and all above it have left. Inside a container the path may be one outside of it:
/// then only the topmost group is there to be asked.
fn left(top: PathBuf, path: &str, names: &Names) -> usize {
    let group = top.join(path.trim_start_matches('/'));
    let own = group.ancestors().take_while(|group| group.starts_with(&top));
    own.map(|group| {
        let number =
            |name: &str| read_to_string(group.join(name)).ok()?.trim().parse::<usize>().ok();
        let (Some(limit), Some(used)) = (number(names.limit), number(names.used)) else {
            return usize::MAX;
        };
        let stat = read_to_string(group.join("memory.stat")).unwrap_or_default();
        let idle = stat.lines().find_map(|line| line.strip_prefix(names.idle)?.trim().parse().ok());
        limit.saturating_sub(used.saturating_sub(idle.unwrap_or(0)))
    })
    .fold(usize::MAX, usize::min)
}

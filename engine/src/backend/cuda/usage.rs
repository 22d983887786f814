//! What a kernel uses of a multiprocessor, read from the compiler's report. Knows the report's
//! wording, not what is too much.

use serde::{Deserialize, Serialize};

/// One kernel's use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// The kernel's symbol.
    pub symbol: String,
    /// Registers a thread.
    pub registers: u32,
    /// Bytes of local memory a thread.
    pub stack_bytes: u32,
    /// Bytes written to local memory for want of registers.
    pub spilled_bytes: u32,
}

/// Reads the report of one compilation (`--ptxas-options=-v`).
pub fn parse(log: &str) -> Vec<Usage> {
    let mut found: Vec<Usage> = Vec::new();
    for line in log.lines() {
        if let Some(name) = between(line, "Compiling entry function '", "'") {
            found.push(Usage { symbol: name.into(), ..Usage::default() });
        }
        let Some(usage) = found.last_mut() else { continue };
        if let Some(bytes) = before(line, " bytes stack frame") {
            usage.stack_bytes = bytes;
            let stores = before(line, " bytes spill stores").unwrap_or(0);
            usage.spilled_bytes = stores.max(before(line, " bytes spill loads").unwrap_or(0));
        }
        if let Some(registers) = before(line, " registers") {
            usage.registers = registers;
        }
    }
    found
}

fn between<'a>(line: &'a str, left: &str, right: &str) -> Option<&'a str> {
    Some(line.split_once(left)?.1.split_once(right)?.0)
}

/// The number that ends right before `mark`.
fn before(line: &str, mark: &str) -> Option<u32> {
    line.split_once(mark)?.0.rsplit([' ', ',']).next()?.parse().ok()
}

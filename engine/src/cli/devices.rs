//! `worker-orcd devices`: which devices there are, and how well each is served.

use super::{Output, human, tables};
use crate::backend::cuda::{Device, Driver};
use crate::error::Result;

const EXAMPLES: &str = "\
The table ends with what to expect of each device; what is said there is about speed only. Every
kernel's numbers are judged alike on all of them.

Without a driver or a device the command says what is missing and ends with 1; everything else
works on the CPU.

Examples:
  worker-orcd devices
  CUDA_VISIBLE_DEVICES=1 worker-orcd devices    # one of several";

/// List the CUDA devices of this machine
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Devices {}

impl Devices {
    pub(super) fn run(&self, output: &mut Output) -> Result<()> {
        let devices = Device::all()?;
        let mut table = tables::table(&["device", "name", "capability", "memory", "expect"]);
        for device in &devices {
            let (major, minor) = device.capability;
            table.add_row([
                format!("cuda:{}", device.ordinal),
                device.name.clone(),
                format!("{major}.{minor}"),
                human::bytes(device.memory_bytes as u64),
                match device.tier() {
                    Ok(tier) => format!("{}: {}", tier.name, tier.speed),
                    Err(refusal) => refusal.to_string(),
                },
            ]);
        }
        output.print(table)?;
        output.print(format!("the driver supports {}", Driver::open()?.version()))
    }
}

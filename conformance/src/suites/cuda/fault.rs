//! A kernel that touches what is not its own loses the device: for this process, for good, and with
//! an exit code that says so. It happens in a process of its own.

use super::case;
use crate::worker::{self, Program};
use engine::backend::cuda::kernels::Kernels;
use engine::backend::cuda::{Context, Stream};
use engine::error::{Error, Result};
use harness::{Case, Failure, roots};
use std::process::ExitCode;

pub(super) fn cases() -> Vec<Case> {
    vec![case("fault::an-illegal-address-ends-the-process-with-86", illegal).requirements(["F08"])]
}

/// Loses the device of this process; its end is what a worker's would be.
pub fn lose_the_device() -> ExitCode {
    match lost() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn lost() -> Result<()> {
    let context = Context::open(0)?;
    let kernels = Kernels::new(&context)?;
    let stream = Stream::new(&context)?;
    let add = kernels.function("add", "add_f32")?;
    // Address 8 belongs to nobody.
    add.launch().block(32, 1).arg(8u64).arg(8u64).arg(32u64).on(&stream)?;
    let first = stream.synchronize();
    let later = [context.memory().map(drop), context.synchronize(), context.alive()];
    // Whatever is asked afterwards, the answer is the same.
    match later.iter().find(|answer| !matches!(answer, Err(Error::DeviceLost { .. }))) {
        Some(answer) => Err(Error::Usage(format!("a lost device still answers: {answer:?}"))),
        None => first,
    }
}

fn illegal() -> Result<(), Failure> {
    let nothing: [&str; 0] = [];
    let err = worker::run_as(Program::LosesItsDevice, &roots::project(), nothing)?.refused(86)?;
    match err.contains("700") && err.contains("must end") {
        true => Ok(()),
        false => Err(format!("not told: {err}").into()),
    }
}

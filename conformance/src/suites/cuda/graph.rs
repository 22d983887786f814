//! A captured order of kernels does, replayed, what it did when it was queued.

use super::case;
use crate::subject::loaded_kernels;
use engine::backend::cuda::{Buffer, Event, Owner, Stream};
use harness::{Case, Failure};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("graph::replays-what-was-captured", replays).requirements(["F16"]),
        case("graph::a-failed-capture-leaves-the-stream-usable", failed).requirements(["F16"]),
    ]
}

const COUNT: usize = 1000;

struct Setting {
    stream: Stream,
    to: Buffer,
    more: Buffer,
}

impl Setting {
    fn new() -> Result<Setting, Failure> {
        let context = loaded_kernels()?.context().clone();
        let stream = Stream::new(&context)?;
        let make = || Buffer::new(&context, Owner::Scratch, "a case", 4 * COUNT);
        let (to, more) = (make()?, make()?);
        stream.fill(&to, 0)?;
        stream.upload(bytemuck_bytes(&[2.5f32; COUNT]).as_slice(), &more, 0)?;
        Ok(Setting { stream, to, more })
    }

    fn add(&self) -> Result<(), engine::error::Error> {
        let add = loaded_kernels()?.function("add", "add_f32")?;
        let launch = add.launch().grid(COUNT.div_ceil(256), 1, 1).block(256, 1);
        launch.arg(&self.to).arg(&self.more).arg(COUNT as u64).on(&self.stream)
    }

    fn holds(&self, want: f32) -> Result<(), Failure> {
        let mut bytes = vec![0; 4 * COUNT];
        self.stream.download(&self.to, 0, &mut bytes)?;
        match bytes == bytemuck_bytes(&[want; COUNT]) {
            true => Ok(()),
            false => Err(format!("not {want} everywhere").into()),
        }
    }
}

fn bytemuck_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn replays() -> Result<(), Failure> {
    let setting = Setting::new()?;
    // Loading a kernel is not something that can be captured.
    setting.add()?;
    let mut graph = setting.stream.capture(|| (0..3).try_for_each(|_| setting.add()))?;
    setting.holds(2.5)?;
    if graph.nodes() != 3 {
        return Err(format!("{} nodes of 3", graph.nodes()).into());
    }
    graph.prepare(&setting.stream)?;
    let started = Event::record(&setting.stream)?;
    (0..4).try_for_each(|_| graph.launch(&setting.stream))?;
    let ended = Event::record(&setting.stream)?;
    if ended.ms_since(&started)? <= 0.0 {
        return Err("twelve kernels took no time".into());
    }
    setting.holds(2.5 * 13.0)
}

fn failed() -> Result<(), Failure> {
    let setting = Setting::new()?;
    setting.add()?;
    // Waiting for the stream is not allowed while it is captured.
    let outcome = setting.stream.capture(|| setting.stream.synchronize());
    if outcome.is_ok() {
        return Err("a capture that waits was accepted".into());
    }
    setting.add()?;
    setting.holds(5.0)
}

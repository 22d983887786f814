//! Work on a CUDA device, timed by it. Knows verbs as black boxes that give rows.

use crate::bench::Work;
use crate::subject::loaded_kernels;
use engine::backend::Backend;
use engine::backend::cuda::{Buffer, Cuda, Event, Owner, Rows};
use engine::error::Result as EngineResult;
use engine::quant::Format;
use harness::Failure;
use std::time::Duration;

/// More than the cache of any device, and enough work for the host to queue a verb behind it.
const FLUSH_BYTES: usize = 256 << 20;
/// What the floor's speed is told of.
pub(super) const READ_BYTES: f64 = (1u64 << 30) as f64;
/// Outputs that a product is checked by.
const CHECKED: usize = 8;

/// A device of one's own, with what its cache is flushed with.
pub(super) struct Device {
    pub(super) cuda: Cuda,
    flush: Buffer,
    /// How much of the work is asked for: all, unless it only has to be seen to work.
    share: f64,
}

/// What is timed, and what it must give.
pub(super) struct Verb {
    queue: Queue,
    /// The first elements of the first row.
    wanted: Vec<f64>,
    tolerance: f64,
}

/// Queues a verb and gives its rows.
type Queued = Box<dyn Fn(&mut Cuda) -> EngineResult<Rows>>;

enum Queue {
    /// One of ours.
    Rows(Queued),
    /// The floor: has a clock of its own.
    Reading,
}

/// A verb on a device.
pub(super) struct OnDevice {
    device: Device,
    verb: Verb,
    /// The first row of the last run; nothing before the first.
    given: EngineResult<Vec<f32>>,
}

impl Device {
    pub(super) fn open(share: f64) -> Result<Device, Failure> {
        let cuda = Cuda::on(&loaded_kernels()?, false)?;
        let flush = Buffer::new(cuda.context(), Owner::Scratch, "flush", FLUSH_BYTES)?;
        Ok(Device { cuda, flush, share })
    }

    /// So much of `whole` as is asked for; enough to be checked.
    pub(super) fn part(&self, whole: usize) -> usize {
        ((whole as f64 * self.share) as usize).max(2 * CHECKED)
    }

    pub(super) fn with(self, verb: Verb) -> OnDevice {
        OnDevice { device: self, verb, given: Ok(Vec::new()) }
    }
}

impl Verb {
    pub(super) fn new(queue: impl Fn(&mut Cuda) -> EngineResult<Rows> + 'static) -> Verb {
        Verb { queue: Queue::Rows(Box::new(queue)), wanted: Vec::new(), tolerance: 0.0 }
    }

    /// The kernel that only reads.
    pub(super) fn reading() -> Verb {
        Verb { queue: Queue::Reading, wanted: Vec::new(), tolerance: 0.0 }
    }

    pub(super) fn expecting(self, wanted: Vec<f64>, tolerance: f64) -> Verb {
        Verb { wanted, tolerance, ..self }
    }

    /// The first outputs of a product of `x` with rows from `first` on of a matrix; a hundredth of
    /// what is added up is room for any kernel that is not wrong.
    pub(super) fn giving(
        self,
        format: &Format,
        blocks: &[u8],
        x: &[f32],
        first: usize,
    ) -> Result<Verb, Failure> {
        let row_bytes = x.len() / format.block_len * format.block_bytes;
        let mut values = vec![0f32; x.len() * CHECKED];
        let decode = format.decode().ok_or("not decoded")?;
        decode(&blocks[first * row_bytes..][..CHECKED * row_bytes], &mut values);
        let products = |row: &[f32]| -> Vec<f64> {
            row.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x)).collect()
        };
        let rows: Vec<Vec<f64>> = values.chunks(x.len()).map(products).collect();
        let sizes = rows.iter().map(|row| row.iter().map(|x| x * x).sum::<f64>().sqrt());
        let tolerance = 1e-2 * sizes.fold(0.0, f64::max);
        Ok(self.expecting(rows.iter().map(|row| row.iter().sum()).collect(), tolerance))
    }
}

impl OnDevice {
    /// Does the verb so many times, each behind a flush, and gives the milliseconds it took.
    fn timed(&mut self, rounds: u64) -> EngineResult<f64> {
        let Device { cuda, flush, .. } = &mut self.device;
        let Queue::Rows(queue) = &self.verb.queue else {
            let speed = cuda.read_speed()?;
            self.given = Ok(vec![speed as f32]);
            return Ok(rounds as f64 * READ_BYTES / speed * 1e3);
        };
        let (mut ms, mut last) = (0.0, None);
        for _ in 0..rounds {
            cuda.stream().fill(flush, 0)?;
            let start = Event::record(cuda.stream())?;
            let rows = queue(cuda)?;
            ms += Event::record(cuda.stream())?.ms_since(&start)?;
            last = Some(rows);
        }
        if let Some(rows) = last {
            self.given = Ok(cuda.read(&rows)?);
        }
        Ok(ms)
    }
}

impl Work for OnDevice {
    fn run(&mut self) {
        self.clocked(1);
    }

    fn clocked(&mut self, rounds: u64) -> Option<Duration> {
        let ms = self.timed(rounds).unwrap_or_else(|error| {
            self.given = Err(error);
            0.0
        });
        Some(Duration::from_secs_f64(ms / 1e3))
    }

    fn check(&self) -> Result<(), Failure> {
        let given = match &self.given {
            Ok(given) => given,
            Err(error) => return Err(error.to_string().into()),
        };
        if given.len() < self.verb.wanted.len().max(1) {
            return Err(format!("{} numbers were given", given.len()).into());
        }
        let off = |(want, got): (&f64, &f32)| {
            got.is_nan() || (f64::from(*got) - want).abs() > self.verb.tolerance
        };
        match self.verb.wanted.iter().zip(given).position(off) {
            None => Ok(()),
            Some(at) => {
                let (want, got) = (self.verb.wanted[at], given[at]);
                Err(format!("output {at}: {want:e} wanted, {got:e} found").into())
            }
        }
    }
}

//! Writes and reads `results.jsonl`. Several processes may write one run (nextest starts one for
//! every case); each line is one append, and whoever comes first starts the file.

use crate::record::{Line, Record, RunHeader, SCHEMA, Verdict, unite};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// A results file that is being written.
#[derive(Debug)]
pub struct Results {
    path: PathBuf,
    run: String,
    file: Mutex<File>,
}

impl Results {
    /// Opens `path` for the run that `run` names, or a new run. The first process of a run empties
    /// the file and writes what `begin` makes of the run's id; the others only append.
    pub fn open(
        path: &Path,
        run: Option<&str>,
        begin: impl FnOnce(&str) -> (RunHeader, Vec<Record>),
    ) -> io::Result<Results> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        file.lock()?;
        let id = run.map_or_else(fresh_id, Into::into);
        if run.is_none() || run_of(&file).as_deref() != run {
            file.set_len(0)?;
            let (header, records) = begin(&id);
            let mut text = line(&Line::Run(header))?;
            for mut record in records {
                record.runs = vec![id.clone()];
                text += &line(&Line::Case(record))?;
            }
            file.write_all(text.as_bytes())?;
        }
        file.unlock()?;
        Ok(Results { path: path.into(), run: id, file: Mutex::new(file) })
    }

    /// Where the lines go.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes down that a case is about to run.
    pub fn begin(&self, name: &str) -> io::Result<()> {
        self.append(&Line::Begin { name: name.into(), run: self.run.clone() })
    }

    /// Writes down how a case ended.
    pub fn end(&self, mut record: Record) -> io::Result<()> {
        record.runs = vec![self.run.clone()];
        self.append(&Line::Case(record))
    }

    fn append(&self, what: &Line) -> io::Result<()> {
        let text = line(what)?;
        let mut file = self.file.lock().map_err(|_| io::Error::other("a writer panicked"))?;
        // One write call: the file is open for append, so lines of two processes never mix.
        file.write_all(text.as_bytes())
    }
}

fn fresh_id() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    format!("{:x}-{}", since.map_or(0, |time| time.as_micros()), std::process::id())
}

fn run_of(file: &File) -> Option<String> {
    let mut first = String::new();
    BufReader::new(file).read_line(&mut first).ok()?;
    match serde_json::from_str(&first).ok()? {
        Line::Run(header) => Some(header.id),
        _ => None,
    }
}

fn line(line: &Line) -> io::Result<String> {
    Ok(serde_json::to_string(line)? + "\n")
}

/// What one or more results files say, one record a case, sorted by name.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The runs.
    pub runs: Vec<RunHeader>,
    /// The cases.
    pub cases: Vec<Record>,
}

impl Report {
    /// Brings together what runs said; see [`unite`].
    pub fn new(runs: Vec<RunHeader>, records: impl IntoIterator<Item = Record>) -> Report {
        let mut cases: BTreeMap<String, Record> = BTreeMap::new();
        for record in records {
            let known = cases.remove(&record.name);
            let record = known.map_or_else(|| record.clone(), |known| unite(known, record.clone()));
            cases.insert(record.name.clone(), record);
        }
        Report { runs, cases: cases.into_values().collect() }
    }

    /// Reads a results file. A case that began and never ended is a failure.
    pub fn read(path: &Path) -> Result<Report, String> {
        let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        Report::parse(&text).map_err(|e| format!("{}: {e}", path.display()))
    }

    /// Reads the text of a results file.
    pub fn parse(text: &str) -> Result<Report, String> {
        let (mut runs, mut records) = (Vec::new(), Vec::new());
        let mut open: BTreeMap<(String, String), usize> = BTreeMap::new();
        for (index, text) in text.lines().enumerate() {
            let at = index + 1;
            match serde_json::from_str(text).map_err(|e| format!("line {at}: {e}"))? {
                Line::Run(header) if header.schema != SCHEMA => {
                    let found = header.schema;
                    return Err(format!("line {at}: schema {found}, this reader knows {SCHEMA}"));
                }
                Line::Run(header) => runs.push(header),
                Line::Begin { name, run } => *open.entry((name, run)).or_default() += 1,
                Line::Case(record) => {
                    for run in &record.runs {
                        if let Some(count) = open.get_mut(&(record.name.clone(), run.clone())) {
                            *count = count.saturating_sub(1);
                        }
                    }
                    records.push(record);
                }
            }
        }
        if runs.is_empty() {
            return Err("no run began here: the first line must be of kind \"run\"".into());
        }
        let died = open.into_iter().filter(|(_, count)| *count > 0);
        records.extend(died.map(|((name, run), _)| unfinished(name, run)));
        Ok(Report::new(runs, records))
    }

    /// The file's text, with every line that [`Report::parse`] needs to make this report again.
    pub fn text(&self) -> io::Result<String> {
        let runs = self.runs.iter().cloned().map(Line::Run);
        let cases = self.cases.iter().cloned().map(Line::Case);
        runs.chain(cases).map(|one| line(&one)).collect()
    }

    /// How many cases ended as `verdict`.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.cases.iter().filter(|case| case.verdict == verdict).count()
    }

    /// How many cases ran.
    pub fn executed(&self) -> usize {
        self.cases.len() - self.count(Verdict::Ignored)
    }
}

fn unfinished(name: String, run: String) -> Record {
    let reason = "began and never ended: the process died in it, or was killed at a time limit";
    Record {
        lane: crate::case::Lane::of(&name),
        name,
        verdict: Verdict::Fail,
        reason: Some(reason.into()),
        deviations: Vec::new(),
        figures: Vec::new(),
        ms: 0.0,
        requirements: Vec::new(),
        needs: Vec::new(),
        runs: vec![run],
    }
}

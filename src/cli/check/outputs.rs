//! The outputs of `check`: one format on standard output, and any number in files.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};

use crate::cli::outcome::{Failure, Outcome};
use crate::cli::terminal::Results;
use crate::report::{Groups, Human, RunTotals};
use crate::rules::DocsUrl;
use crate::text::Block;

use super::checker::FileResults;
use super::formats::{FormatName, Formats, Output};

/// The most groups of findings in memory. More are written before the others are known, so that memory stays bounded.
const GROUPS_MAX: usize = 2000;

/// Where the findings go.
pub(super) struct Outputs {
    outputs: Vec<OpenOutput>,
    /// Findings for people, until all are known.
    groups: Groups,
    /// Standard output for diffs, if they are wanted.
    diffs: Option<Results>,
}

struct OpenOutput {
    writer: Writer,
    format: OutputFormat,
}

enum OutputFormat {
    People(Human),
    Program {
        /// The index of the format in [`Formats`].
        index: usize,
        /// Is true once there is an entry.
        any: bool,
    },
}

enum Writer {
    Stdout(Results),
    File(BufWriter<File>, PathBuf),
}

/// A failure to write an output.
pub(super) struct WriteError {
    error: io::Error,
    /// The file; `None` is standard output.
    file: Option<PathBuf>,
}

// === impl Outputs ===

impl Outputs {
    /// Opens the outputs. Findings for people go to standard output unless another format or a diff does.
    pub(super) fn open(wanted: &[Output], diff: bool, docs: Option<&DocsUrl>) -> Result<(Formats, Self), Failure> {
        validate(wanted, diff).map_err(Failure::Input)?;
        let mut wanted = wanted.to_vec();
        if !diff && wanted.iter().all(|output| output.file.is_some()) {
            wanted.insert(0, Output { format: FormatName::Human, file: None });
        }
        let mut formats = Formats { for_people: false, for_programs: Vec::new() };
        let mut outputs = Vec::new();
        for Output { format, file } in wanted {
            let format = match format.for_programs(docs) {
                Some(format) => {
                    formats.for_programs.push(format);
                    OutputFormat::Program { index: formats.for_programs.len() - 1, any: false }
                }
                None => {
                    formats.for_people = true;
                    OutputFormat::People(match file {
                        None => Results::human(docs.cloned()),
                        Some(_) => Human::new(false, None, docs.cloned()),
                    })
                }
            };
            let writer = Writer::open(file).map_err(WriteError::into_failure)?;
            outputs.push(OpenOutput { writer, format });
        }
        Ok((formats, Self { outputs, groups: Groups::default(), diffs: diff.then(Results::new) }))
    }

    /// Returns the files that are written.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        self.outputs.iter().filter_map(|output| match &output.writer {
            Writer::File(_, path) => Some(&**path),
            Writer::Stdout(_) => None,
        })
    }

    pub(super) fn head(&mut self, formats: &Formats) -> Result<(), WriteError> {
        for OpenOutput { writer, format } in &mut self.outputs {
            if let OutputFormat::Program { index, .. } = format {
                writer.write(&formats.for_programs[*index].head())?;
            }
        }
        Ok(())
    }

    /// Writes the findings of one file in the formats for programs, and keeps those for people.
    pub(super) fn write(&mut self, formats: &Formats, results: &mut FileResults) -> Result<(), WriteError> {
        if let (Some(diffs), Some(diff)) = (&mut self.diffs, &results.diff) {
            diffs.write_diff(diff).map_err(WriteError::stdout)?;
        }
        for OpenOutput { writer, format } in &mut self.outputs {
            let OutputFormat::Program { index, any } = format else { continue };
            let format = &formats.for_programs[*index];
            let (before, after) = format.around(&results.tally());
            writer.write(&before)?;
            for entry in results.entries.get(*index).into_iter().flatten() {
                if std::mem::replace(any, true) {
                    writer.write(&Block::fixed(format.separator()))?;
                }
                writer.write(entry)?;
            }
            writer.write(&after)?;
        }
        self.groups.merge(std::mem::take(&mut results.groups));
        if self.groups.len() > GROUPS_MAX { self.write_groups() } else { Ok(()) }
    }

    pub(super) fn tail(&mut self, formats: &Formats, totals: &RunTotals<'_>) -> Result<(), WriteError> {
        self.write_groups()?;
        for OpenOutput { writer, format } in &mut self.outputs {
            if let OutputFormat::Program { index, .. } = format {
                writer.write(&formats.for_programs[*index].tail(totals))?;
            }
            writer.flush()?;
        }
        self.diffs.as_mut().map_or(Ok(()), |diffs| diffs.flush().map_err(WriteError::stdout))
    }

    fn write_groups(&mut self) -> Result<(), WriteError> {
        let groups = self.groups.take();
        for OpenOutput { writer, format } in &mut self.outputs {
            if let OutputFormat::People(human) = format {
                groups.iter().try_for_each(|group| writer.write(&human.group(group)))?;
            }
        }
        Ok(())
    }
}

/// Checks that each output has a place of its own.
fn validate(wanted: &[Output], diff: bool) -> anyhow::Result<()> {
    let on_stdout = wanted.iter().filter(|output| output.file.is_none()).count();
    if diff && on_stdout > 0 {
        bail!("--diff writes to standard output: give each -o a file, such as -o sarif=FILE");
    }
    if on_stdout > 1 {
        bail!("only one format can go to standard output: give the others a file, such as -o sarif=FILE");
    }
    let mut files: Vec<&Path> = wanted.iter().filter_map(|output| output.file.as_deref()).collect();
    if files.iter().any(|file| file.as_os_str().is_empty()) {
        bail!("-o names no file after the equals sign: write -o FORMAT=FILE");
    }
    let count = files.len();
    files.sort();
    files.dedup();
    if files.len() < count {
        bail!("two formats cannot go to one file: give each -o a file of its own");
    }
    Ok(())
}

// === impl Writer ===

impl Writer {
    fn open(file: Option<PathBuf>) -> Result<Self, WriteError> {
        let Some(path) = file else { return Ok(Self::Stdout(Results::new())) };
        match File::create(&path) {
            Ok(file) => Ok(Self::File(BufWriter::new(file), path)),
            Err(error) => Err(WriteError { error, file: Some(path) }),
        }
    }

    fn write(&mut self, block: &Block) -> Result<(), WriteError> {
        match self {
            Self::Stdout(results) => results.write(block).map_err(WriteError::stdout),
            Self::File(file, path) => {
                let written = file.write_all(block.as_str().as_bytes());
                written.map_err(|error| WriteError { error, file: Some(path.clone()) })
            }
        }
    }

    fn flush(&mut self) -> Result<(), WriteError> {
        match self {
            Self::Stdout(results) => results.flush().map_err(WriteError::stdout),
            Self::File(file, path) => file.flush().map_err(|error| WriteError { error, file: Some(path.clone()) }),
        }
    }
}

// === impl WriteError ===

impl WriteError {
    fn stdout(error: io::Error) -> Self {
        Self { error, file: None }
    }

    fn into_failure(self) -> Failure {
        match self.outcome() {
            Err(failure) => failure,
            Ok(()) => Failure::Outside(anyhow!("cannot write to a closed pipe")),
        }
    }

    /// Returns the end of the command. A closed standard output is no failure.
    pub(super) fn outcome(self) -> Outcome {
        match self.file {
            None => Failure::output(self.error),
            Some(file) => {
                let message = format!("cannot write {}", file.display());
                Err(Failure::Outside(anyhow::Error::new(self.error).context(message)))
            }
        }
    }
}

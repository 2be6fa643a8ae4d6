//! The output formats of `check` as arguments: `FORMAT` and `FORMAT=FILE`.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::builder::{EnumValueParser, PossibleValue, TypedValueParser};
use clap::{Arg, Command, ValueEnum};

use crate::cli::files::STDIN;
use crate::os;
use crate::report::{Concise, Format, Github, Gitlab, Json, Junit, Sarif};
use crate::rules::DocsUrl;

/// The names of formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FormatName {
    /// For people
    Human,
    /// One line for each finding
    Concise,
    /// One JSON document
    Json,
    /// SARIF 2.1.0, for code scanning and editors
    Sarif,
    /// GitHub workflow commands, shown as annotations of pull requests
    Github,
    /// GitLab Code Quality, shown in merge requests
    Gitlab,
    /// JUnit XML, shown as test results
    Junit,
}

/// A format, and the file to write it to; `None` is standard output.
#[derive(Clone, Debug)]
pub(super) struct Output {
    pub(super) format: FormatName,
    pub(super) file: Option<PathBuf>,
}

/// Parses `FORMAT` and `FORMAT=FILE`.
#[derive(Clone)]
pub(super) struct OutputParser;

/// The formats that the threads need.
pub(super) struct Formats {
    /// Is true if findings are wanted for people.
    pub(super) for_people: bool,
    pub(super) for_programs: Vec<Box<dyn Format>>,
}

// === impl FormatName ===

impl FormatName {
    /// Returns the format; `None` for people.
    pub(super) fn for_programs(self, docs: Option<&DocsUrl>) -> Option<Box<dyn Format>> {
        Some(match self {
            Self::Human => return None,
            Self::Concise => Box::new(Concise),
            Self::Json => Box::new(Json),
            Self::Sarif => Box::new(Sarif { docs: docs.cloned() }),
            Self::Github => Box::new(Github),
            Self::Gitlab => Box::new(Gitlab),
            Self::Junit => Box::new(Junit),
        })
    }
}

// === impl OutputParser ===

impl TypedValueParser for OutputParser {
    type Value = Output;

    fn parse_ref(&self, command: &Command, argument: Option<&Arg>, value: &OsStr) -> Result<Output, clap::Error> {
        let bytes = value.as_encoded_bytes();
        let text = |bytes| os::text_from_bytes(bytes).unwrap_or(value);
        let (format, file) = match bytes.iter().position(|byte| *byte == b'=') {
            Some(at) => (&bytes[..at], Some(PathBuf::from(text(&bytes[at + 1..])))),
            None => (bytes, None),
        };
        let format = EnumValueParser::<FormatName>::new().parse_ref(command, argument, text(format))?;
        Ok(Output { format, file: file.filter(|file| file.as_os_str() != STDIN) })
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let names = FormatName::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        Some(Box::new(names.collect::<Vec<_>>().into_iter()))
    }
}

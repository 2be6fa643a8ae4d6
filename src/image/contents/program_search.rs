//! The program that a word of a command names: by its path, or along the search path, as container runtimes and shells look it up. Must not
//! know what a program starts.

use std::rc::Rc;

use super::facts::{DEFAULT_PATH, Found, ImageFacts};
use super::program_kind::ProgramKind;
use super::program_resolver::{Unknown, unknown};
use crate::budget::{self, Work};
use crate::text::one_line;

/// The most folders of the search path that are searched.
const SEARCHED_MAX: usize = 64;
/// The longest path that is looked up, in bytes (`PATH_MAX`).
const PATH_MAX_BYTES: usize = 4096;
/// The longest name from outside that a reason repeats, in bytes.
pub(crate) const SHOWN_MAX_BYTES: usize = 120;
/// The most arguments that are looked up, and the most words in one of them. A program that starts another one has it among the first.
const ARGUMENTS_MAX: usize = 32;
const WORDS_MAX: usize = 4;
/// The endings of file names in arguments that name no program: data, and texts that an interpreter reads.
const DATA_ENDINGS: [&str; 28] = [
    "cfg", "cjs", "cnf", "conf", "config", "crt", "csv", "db", "env", "html", "ini", "jar", "js", "json", "key", "log",
    "mjs", "pem", "php", "py", "rb", "toml", "ts", "txt", "war", "xml", "yaml", "yml",
];

/// The search for programs of one container.
#[derive(Clone, Copy)]
pub(crate) struct ProgramSearch<'a, 'p> {
    pub(crate) facts: &'a ImageFacts,
    /// The pod's working directory, if the pod sets one.
    pub(crate) working_dir: Option<&'p str>,
    /// The pod's search path, if the pod sets one.
    pub(crate) path: Option<&'p str>,
}

// === impl ProgramSearch ===

impl<'a> ProgramSearch<'a, '_> {
    /// Returns the path from the root; a relative one begins in the working directory.
    pub(crate) fn absolute(&self, path: &str) -> String {
        if path.starts_with('/') {
            return path.to_owned();
        }
        let folder = self.working_dir.filter(|folder| !folder.is_empty());
        format!("{}/{path}", folder.unwrap_or(&self.facts.config.working_dir))
    }

    /// Finds a program as the container runtime does: by its path, or along the search path. A file without the exec bit is none.
    ///
    /// # Errors
    /// Only the container knows the search path, or the file has no exec bit.
    pub(crate) fn look_up(&self, program: &str) -> Result<Found<'a>, Unknown> {
        let facts = self.facts;
        if program.len() > PATH_MAX_BYTES {
            return Ok(Found::Nothing);
        }
        if program.contains('/') {
            if budget::charge(Work::Path, 1 + program.len() / 64).is_err() {
                return Ok(Found::Nothing);
            }
            return match facts.program_at(&self.absolute(program)) {
                Found::Program(_, kind) if !kind.is_executable() => {
                    unknown(format!("`{}` cannot be started: it has no exec bit", one_line(program, SHOWN_MAX_BYTES)))
                }
                found => Ok(found),
            };
        }
        let path = self.path.or_else(|| facts.config.env.get("PATH").map(String::as_str)).unwrap_or(DEFAULT_PATH);
        if path.contains('$') {
            return unknown("the search path is in a variable, whose value only the container knows");
        }
        for folder in path.split(':').take(SEARCHED_MAX) {
            if folder.len() > PATH_MAX_BYTES || budget::charge(Work::Item, 1 + folder.len() / 64).is_err() {
                return Ok(Found::Nothing);
            }
            let found = match folder {
                // An empty part is the working directory, and a relative one begins there.
                "" => facts.program_at(&self.absolute(program)),
                folder => facts.program_at(&self.absolute(&format!("{folder}/{program}"))),
            };
            match found {
                Found::Program(_, kind) if !kind.is_executable() => {}
                // A layer that was not read may have the program in this folder.
                Found::Nothing if !facts.partial => {}
                found => return Ok(found),
            }
        }
        Ok(Found::Nothing)
    }

    /// Returns the first argument that names another program of the image, and all that follow it. `is_known` returns true for a path that is
    /// not another one.
    ///
    /// # Errors
    /// A layer that was not read may have such a program.
    pub(crate) fn named_program(
        &self,
        arguments: &[Rc<str>],
        is_known: &dyn Fn(&str) -> bool,
    ) -> Result<Option<Vec<Rc<str>>>, Unknown> {
        for (at, argument) in arguments.iter().take(ARGUMENTS_MAX).enumerate() {
            for word in words_of(argument) {
                let is_other = match self.look_up(word) {
                    Ok(Found::Program(path, kind)) => !matches!(kind, ProgramKind::Loader(_)) && !is_known(&path),
                    _ => false,
                };
                if is_other && word == &**argument {
                    return Ok(Some(arguments.get(at..).unwrap_or_default().to_vec()));
                } else if is_other {
                    return Ok(Some(vec![word.into()]));
                }
                if self.facts.partial && may_name_program(word) && !is_known(word.trim_start_matches('/')) {
                    return unknown(format!(
                        "`{}` may be another program, in a layer that was not read",
                        one_line(word, SHOWN_MAX_BYTES)
                    ));
                }
            }
        }
        Ok(None)
    }

    /// Returns why a program was not found.
    pub(crate) fn missing(&self, program: &str) -> String {
        let is_left_out = self.facts.partial || matches!(self.look_up(program), Ok(Found::Perhaps(_)));
        let program = one_line(program, SHOWN_MAX_BYTES);
        if is_left_out {
            format!("`{program}` is not among the files of the image that muslin keeps")
        } else {
            format!("the image has no readable program `{program}`; a volume may provide it")
        }
    }
}

/// Returns why a script with carriage returns runs nothing.
pub(crate) fn has_carriage_returns_in(script: &str) -> String {
    format!(
        "the lines of `{}` end with carriage returns, so that it cannot run: save it with LF at the ends of lines",
        one_line(script, SHOWN_MAX_BYTES)
    )
}

/// Returns the words of an argument that may name a program: the argument itself, a path after `=`, or the words of a text.
fn words_of(argument: &str) -> impl Iterator<Item = &str> {
    let words = argument.split_whitespace().take(WORDS_MAX);
    words.filter_map(|word| match word.split_once('=') {
        Some((_, value)) => value.starts_with('/').then_some(value),
        None => Some(word).filter(|word| !word.starts_with('-')),
    })
}

/// Returns true if a word has the form of a program's name or path.
fn may_name_program(word: &str) -> bool {
    let name = word.rsplit('/').next().unwrap_or(word);
    let is_data = name.rsplit_once('.').is_some_and(|(_, ending)| DATA_ENDINGS.contains(&ending));
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+-/".contains(&byte))
        && !is_data
}

//! A script: the interpreter that its first line names, and, of a shell script, the commands that take its place. Must not know
//! which of those are there.

use serde::{Deserialize, Serialize};

use crate::image::contents::shell::lexer::UNTOLD;
use crate::image::contents::shell::parser::{TEXT_MAX, Text};

/// The longest first line, as in Linux since 5.1 (`BINPRM_BUF_SIZE`).
const FIRST_LINE_MAX: usize = 256;
/// The most commands that are kept of a script.
const STARTS_MAX: usize = 8;
/// The longest command that is kept, in words, and the longest of these, in bytes: only what is run matters.
const WORDS_MAX: usize = 12;
const WORD_MAX: usize = 256;
/// The shells, by the name of their file.
const SHELLS: [&str; 7] = ["sh", "ash", "bash", "dash", "ksh", "mksh", "zsh"];

/// A program in a language that another program reads.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Script {
    /// The interpreter's path.
    pub interpreter: Box<str>,
    /// What the first line gives it, before the script's own path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argument: Option<Box<str>>,
    /// The commands of which one takes the place of a shell script, if that is sure; a word `$@` stands for its arguments, `$0` for itself, and any
    /// other word with `$` for what is not told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub starts: Vec<Vec<Box<str>>>,
}

/// Reads a script as its bytes come.
#[derive(Debug, Default)]
pub(crate) struct ScriptScan(Vec<u8>);

/// Whether a program of this name is a shell.
pub(crate) fn is_shell(name: &str) -> bool {
    SHELLS.contains(&name)
}

// === impl ScriptScan ===

impl ScriptScan {
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let Self(text) = self;
        text.extend_from_slice(&bytes[..bytes.len().min(TEXT_MAX - text.len())]);
    }

    pub(crate) fn finish(self) -> Option<Script> {
        let Self(text) = self;
        let first = text.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
        let first = std::str::from_utf8(&first[..first.len().min(FIRST_LINE_MAX)]).ok()?.trim_matches([' ', '\t']);
        let (interpreter, argument) = match first.split_once([' ', '\t']) {
            Some((interpreter, argument)) => (interpreter, Some(argument.trim_start_matches([' ', '\t']))),
            None => (first, None),
        };
        if interpreter.is_empty() {
            return None;
        }
        let mut script =
            Script { interpreter: interpreter.into(), argument: argument.map(Into::into), starts: Vec::new() };
        if script.is_shell() {
            // Of a longer one it is not known how it ends.
            let is_whole = text.len() < TEXT_MAX;
            script.starts = if is_whole { starts(&String::from_utf8_lossy(&text)) } else { Vec::new() };
        }
        Some(script)
    }
}

fn starts(text: &str) -> Vec<Vec<Box<str>>> {
    let mut starts: Vec<Vec<Box<str>>> = Vec::new();
    for command in Text::read(text).replacements() {
        let word = |word: &String| if word.len() > WORD_MAX { UNTOLD.into() } else { word.as_str().into() };
        let words: Vec<Box<str>> = command.words.iter().take(WORDS_MAX).map(word).collect();
        if !words.is_empty() && !starts.contains(&words) {
            starts.push(words);
        }
    }
    if starts.len() > STARTS_MAX {
        // It may start more than is kept, so that nothing is told.
        return vec![vec![UNTOLD.into()]];
    }
    starts
}

// === impl Script ===

impl Script {
    /// About how many bytes it takes to keep it, besides its own size.
    pub(crate) fn bytes(&self) -> usize {
        let Self { interpreter, argument, starts } = self;
        let words = starts.iter().flatten().map(|word| word.len() + size_of::<Box<str>>());
        interpreter.len() + argument.as_ref().map_or(0, |argument| argument.len()) + words.sum::<usize>()
    }

    /// Whether a shell reads it, directly or through `env`.
    pub fn is_shell(&self) -> bool {
        let name = |path: &str| path.rsplit('/').next().is_some_and(is_shell);
        let by_env = || self.argument.as_deref().is_some_and(|argument| argument.split_whitespace().any(name));
        // `#!/bin/busybox sh` names the shell in its argument, as `#!/usr/bin/env bash` does.
        name(&self.interpreter) || (matches!(self.interpreter.rsplit('/').next(), Some("env" | "busybox")) && by_env())
    }
}

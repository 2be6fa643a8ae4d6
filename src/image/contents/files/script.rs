//! A script: the interpreter in its first line and, for a shell script, the commands that may replace it. Must not know whether these
//! exist.

use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::image::contents::shell::lexer::UNKNOWN_WORD;
use crate::image::contents::shell::parser::{ShellText, TEXT_MAX_BYTES};

/// The longest first line, in bytes, as in Linux since 5.1 (`BINPRM_BUF_SIZE`).
const FIRST_LINE_MAX_BYTES: usize = 256;
/// The most commands that are kept of a script.
const STARTS_MAX: usize = 8;
/// The longest command that is kept, in words, and the longest word, in bytes: the first words decide what runs.
const WORDS_MAX: usize = 12;
const WORD_MAX_BYTES: usize = 256;
/// The file names of shells.
const SHELLS: [&str; 7] = ["sh", "ash", "bash", "dash", "ksh", "mksh", "zsh"];

/// A script.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Script {
    /// The path of the interpreter.
    pub interpreter: Box<str>,
    /// The argument in the first line, which the interpreter gets before the script's own path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argument: Option<Box<str>>,
    /// The commands of which one is sure to replace a shell script; empty if none is. The word `$@` stands for the script's arguments,
    /// `$0` for the script, and any other word with `$` for an unknown one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub starts: Vec<Vec<Box<str>>>,
    /// The file has no exec bit: only a shell that is given its path runs it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lacks_exec_bit: bool,
    /// Lines end with a carriage return: the kernel looks for an interpreter of another name, and a shell for other programs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_carriage_returns: bool,
}

/// A reader of one script.
#[derive(Debug, Default)]
pub(crate) struct ScriptScan(Vec<u8>);

/// Returns true if a program of this name is a shell.
pub(crate) fn is_shell(name: &str) -> bool {
    SHELLS.contains(&name)
}

// === impl ScriptScan ===

impl ScriptScan {
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let Self(text) = self;
        text.extend_from_slice(&bytes[..bytes.len().min(TEXT_MAX_BYTES - text.len())]);
    }

    /// Returns the script; `None` if the file is none, or if it is one without the exec bit that no shell reads.
    pub(crate) fn finish(self, is_executable: bool) -> Option<Script> {
        let Self(text) = self;
        let first = text.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
        let first =
            std::str::from_utf8(&first[..first.len().min(FIRST_LINE_MAX_BYTES)]).ok()?.trim_matches([' ', '\t']);
        let (first, ends_with_cr) = first.strip_suffix('\r').map_or((first, false), |first| (first, true));
        let (interpreter, argument) = match first.split_once([' ', '\t']) {
            Some((interpreter, argument)) => (interpreter, Some(argument.trim_start_matches([' ', '\t']))),
            None => (first, None),
        };
        if interpreter.is_empty() {
            return None;
        }
        let mut script = Script {
            interpreter: interpreter.into(),
            argument: argument.map(Into::into),
            starts: Vec::new(),
            lacks_exec_bit: !is_executable,
            has_carriage_returns: ends_with_cr,
        };
        if !is_executable && !script.is_shell() {
            return None;
        }
        if script.is_shell() {
            script.has_carriage_returns |= text.windows(2).any(|pair| pair == b"\r\n");
            // The end of a longer script is unknown.
            let is_whole = text.len() < TEXT_MAX_BYTES;
            script.starts = if is_whole { replacing_commands(&String::from_utf8_lossy(&text)) } else { Vec::new() };
        }
        Some(script)
    }
}

/// Returns the commands that may replace a shell script of this text.
fn replacing_commands(text: &str) -> Vec<Vec<Box<str>>> {
    let mut starts: Vec<Vec<Box<str>>> = Vec::new();
    for command in ShellText::parse(text).replacements() {
        let word = |word: &Rc<str>| if word.len() > WORD_MAX_BYTES { UNKNOWN_WORD.into() } else { (&**word).into() };
        let words: Vec<Box<str>> = command.words.iter().take(WORDS_MAX).map(word).collect();
        if !words.is_empty() && !starts.contains(&words) {
            starts.push(words);
        }
        if starts.len() > STARTS_MAX {
            // One of the commands that do not fit may run, so nothing is known.
            return vec![vec![UNKNOWN_WORD.into()]];
        }
    }
    starts
}

// === impl Script ===

impl Script {
    /// Returns the approximate memory use besides the size of the type, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let Self { interpreter, argument, starts, lacks_exec_bit: _, has_carriage_returns: _ } = self;
        let words = starts.iter().flatten().map(|word| word.len() + size_of::<Box<str>>());
        interpreter.len() + argument.as_ref().map_or(0, |argument| argument.len()) + words.sum::<usize>()
    }

    /// Returns true if a shell reads the script: the interpreter, or a shell that the interpreter starts, as in `#!/usr/bin/env bash`,
    /// `#!/bin/busybox sh`, `#!/usr/bin/dumb-init /bin/sh` and `#!/command/with-contenv bash`.
    pub(crate) fn is_shell(&self) -> bool {
        let name = |path: &str| path.rsplit('/').next().is_some_and(is_shell);
        name(&self.interpreter) || self.argument.as_deref().is_some_and(|words| words.split_whitespace().any(name))
    }
}

//! Enough of a shell's grammar to find the programs that a text starts, and the one that stays. If a text does more than this parser
//! understands, the answer is unknown. Time and memory are in proportion to the text. Must not know of images.

use std::collections::HashMap;
use std::rc::Rc;

use super::builtins::{is_builtin, is_file_tool};
use super::flow::{self, Body, Compound, Step};
use super::lexer::{ARGUMENTS, Separator, Token, UNKNOWN_WORD, is_assignment, tokens};
use crate::budget::{self, count_turns};

/// A simple command. Only the shell knows the value of a word with `$`, except [`ARGUMENTS`] and [`super::lexer::ITSELF`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) words: Vec<Rc<str>>,
    /// The command replaces the shell.
    pub(crate) exec: bool,
    /// The command is a function of the text.
    is_call: bool,
}

/// The commands of a text.
#[derive(Debug, Default)]
pub(crate) struct ShellText {
    /// In the order of the text, without the commands of the shell itself.
    pub(crate) commands: Vec<Command>,
    /// The text has more commands than are kept, or is beyond the work budget: nothing is known of it.
    pub(crate) is_too_long: bool,
    /// The ranges of commands of which one is sure to replace the shell.
    replacements: Vec<(usize, usize)>,
}

/// The longest text that is read, in bytes; the longest entrypoint of Docker's official images has 17 KiB.
pub(crate) const TEXT_MAX_BYTES: usize = 64 << 10;

/// Words before a command that open no compound command.
const KEYWORDS: [&str; 2] = ["!", "time"];
/// The most variants of its arguments that a script may make.
const VARIANTS_MAX: usize = 8;
/// The most words of a variant that are kept.
const VARIANT_WORDS_MAX: usize = 16;
/// The most memory for the commands of one text, in bytes. An entrypoint of 17 KiB takes some 200 KiB.
const COMMANDS_MAX_BYTES: usize = 1 << 20;
/// The approximate memory of a command, and of a word besides its text, in bytes.
const COMMAND_BYTES: usize = 96;
const WORD_BYTES: usize = 40;
/// The longest path of a folder that is followed, in bytes (`PATH_MAX`).
const FOLDER_MAX_BYTES: usize = 4096;

/// The state of reading a text.
struct Parser {
    text: ShellText,
    /// The text outside of functions, then the functions.
    bodies: Vec<Body>,
    /// The index of each function's name.
    function_names: HashMap<Rc<str>, usize>,
    /// The open compound commands: for each, the index of the body that its commands belong to.
    open: Vec<usize>,
    /// The function whose body begins next.
    defines: Option<usize>,
    /// The last command ends the text, unless the next one runs beside it.
    is_ended: bool,
    folder: Folder,
    /// The search path may have changed: a program without a folder in its name is unknown.
    search_path_changed: bool,
    /// `GODEBUG` was set: how a program resolves names is unknown.
    godebug_changed: bool,
    /// All that the arguments may be: the original ones, or those from `set --`.
    arguments: Vec<Vec<Rc<str>>>,
    /// The memory that commands may still take.
    bytes_left: usize,
}

/// The working directory of the shell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Folder {
    /// The original one.
    #[default]
    Start,
    /// This folder; a relative one is below the original one.
    At(String),
    /// This folder, until the next command without `&&` before it.
    UntilNext(String),
    Unknown,
}

// === impl ShellText ===

impl ShellText {
    /// Parses a text, without the texts inside `$(…)`.
    pub(crate) fn parse(text: &str) -> Self {
        if text.len() > TEXT_MAX_BYTES || budget::charge_text(text.len()).is_err() {
            return Self { is_too_long: true, ..Self::default() };
        }
        let mut parser = Parser {
            text: Self::default(),
            bodies: vec![Body::default()],
            function_names: HashMap::new(),
            open: Vec::new(),
            defines: None,
            is_ended: false,
            folder: Folder::Start,
            search_path_changed: false,
            godebug_changed: false,
            arguments: vec![vec![ARGUMENTS.into()]],
            bytes_left: COMMANDS_MAX_BYTES,
        };
        for token in tokens(text) {
            // The rest is never read, and may be no shell text.
            if parser.is_over(&token) {
                break;
            }
            parser.read_token(token);
            if parser.text.is_too_long {
                return Self { is_too_long: true, ..Self::default() };
            }
        }
        parser.finish()
    }

    /// Returns the commands that may replace the shell; none if the text may end without one of them, except by an error.
    pub(crate) fn replacements(&self) -> Vec<&Command> {
        self.replacements.iter().filter_map(|(first, end)| self.commands.get(*first..*end)).flatten().collect()
    }

    /// Returns the commands that the text may end with, if none is sure to replace the shell: all programs, except those that work on files
    /// alone beside others.
    pub(crate) fn programs(&self) -> Vec<&Command> {
        let is_other = |command: &&Command| !command.words.first().is_some_and(|name| is_file_tool(name));
        let (programs, tools): (Vec<&Command>, Vec<&Command>) =
            self.commands.iter().filter(|command| !command.is_call).partition(is_other);
        if programs.is_empty() { tools } else { programs }
    }
}

// === impl Parser ===

impl Parser {
    fn read_token(&mut self, token: Token) {
        match token {
            Token::Words(words, separator) => self.words(words, separator),
            Token::Function(name) => self.define_function(&name),
            Token::Pattern(matches_all) => self.step(Step::Pattern(matches_all)),
            Token::FallThrough => self.step(Step::Unclear),
            Token::Open(separator) => self.begin(Compound::Subshell, separator),
            Token::Close => self.end(Compound::Subshell),
        }
    }

    /// Returns true after an `exec` or `exit` that is sure to run, unless the next command belongs to it.
    fn is_over(&mut self, next: &Token) -> bool {
        let is_beside = match next {
            Token::Words(_, Separator::Background) => {
                self.is_ended = false;
                true
            }
            Token::Words(_, before) | Token::Open(before) => *before != Separator::Next,
            _ => false,
        };
        self.is_ended && self.open.is_empty() && !is_beside
    }

    /// Finds out how the text ends.
    fn finish(self) -> ShellText {
        let Self { mut text, mut bodies, function_names, .. } = self;
        let mut functions: Vec<Vec<usize>> = vec![Vec::new(); function_names.len()];
        for (at, body) in bodies.iter().enumerate() {
            if let Some(bodies) = body.function.and_then(|name| functions.get_mut(name)) {
                bodies.push(at);
            }
        }
        // A function may be defined after the text that calls it.
        for step in bodies.iter_mut().flat_map(|body| &mut body.steps) {
            let Step::Program(before, at) = *step else { continue };
            let Some(command) = text.commands.get_mut(at) else { continue };
            let name = command.words.first().map(|name| &**name).unwrap_or_default();
            if let Some(function) = function_names.get(name) {
                command.is_call = true;
                *step = Step::Call(before, *function);
            } else if is_file_tool(name) {
                *step = Step::Nothing(before);
            }
        }
        text.replacements = flow::replacements(&bodies, &functions);
        text
    }

    fn step(&mut self, step: Step) {
        let body = self.body();
        if let Some(body) = self.bodies.get_mut(body) {
            body.steps.push(step);
        }
    }

    /// Returns the index of the body of the next step.
    fn body(&self) -> usize {
        self.open.last().copied().unwrap_or(0)
    }

    fn is_in_function(&self) -> bool {
        self.body() > 0
    }

    fn define_function(&mut self, name: &str) {
        let next = self.function_names.len();
        let index = *self.function_names.entry(name.into()).or_insert(next);
        self.defines = Some(index);
    }

    fn begin(&mut self, kind: Compound, before: Separator) {
        let body = self.body();
        let mut inner = body;
        if let Some(name) = self.defines.take() {
            inner = self.bodies.len();
            self.bodies.push(Body { function: Some(name), steps: Vec::new() });
        }
        self.open.push(inner);
        self.step(Step::Begin(if inner == body { before } else { Separator::Next }, kind));
    }

    fn end(&mut self, kind: Compound) {
        self.step(Step::End(kind));
        self.open.pop();
    }

    fn words(&mut self, mut words: Vec<String>, mut separator: Separator) {
        if separator != Separator::And && matches!(self.folder, Folder::UntilNext(_)) {
            self.folder = Folder::Unknown;
        }
        self.search_path_changed |= words.iter().any(|word| word.starts_with("PATH="));
        self.godebug_changed |= words.iter().any(|word| word.starts_with("GODEBUG="));
        let before = separator;
        let begins = self.keywords(&words, &mut separator);
        words.drain(..begins);
        let exec = words.first().is_some_and(|word| word == "exec");
        if exec {
            words.remove(0);
            // `exec -a NAME`, `-c`, `-l`; an `exec` with redirections alone starts nothing.
            if words.first().is_some_and(|word| word == "-a") {
                words.drain(..words.len().min(2));
            }
            let is_option = |word: &String| matches!(word.as_str(), "-c" | "-l" | "-cl" | "--");
            let options = words.iter().take_while(|word| is_option(word)).count();
            words.drain(..options);
        }
        let Some(first) = words.first() else {
            return self.step(Step::Nothing(separator));
        };
        if self.defines.take().is_some() {
            // A function without braces.
            self.step(Step::Unclear);
        }
        if !exec && is_builtin(first) {
            self.builtin(&words, before);
            return self.builtin_step(&words, separator);
        }
        self.command(words, exec, separator);
    }

    /// Reads the keywords before a command and returns their number. The words of `for` and `case` have no command.
    fn keywords(&mut self, words: &[String], separator: &mut Separator) -> usize {
        let mut at = 0;
        while let Some(word) = words.get(at) {
            let before = *separator;
            let step = match word.as_str() {
                "then" => Step::Then,
                "else" => Step::Else,
                "elif" => Step::ElseIf,
                "do" => Step::Do,
                "if" => Step::Begin(before, Compound::If),
                "while" | "until" | "for" | "select" => Step::Begin(before, Compound::Loop),
                "{" => Step::Begin(before, Compound::Group),
                "case" => Step::Begin(before, Compound::Case),
                "fi" => Step::End(Compound::If),
                "done" => Step::End(Compound::Loop),
                "esac" => Step::End(Compound::Case),
                "}" => Step::End(Compound::Group),
                "function" => {
                    if let Some(name) = words.get(at + 1) {
                        self.define_function(name);
                    }
                    at += 2;
                    continue;
                }
                "command" | "builtin" if words.get(at + 1).is_some_and(|next| next.starts_with('-')) => {
                    return words.len();
                }
                "command" | "builtin" => {
                    at += 1;
                    continue;
                }
                other if KEYWORDS.contains(&other) || is_assignment(other) => {
                    at += 1;
                    continue;
                }
                _ => break,
            };
            match step {
                Step::Begin(before, kind) => self.begin(kind, before),
                Step::End(kind) => self.end(kind),
                other => self.step(other),
            }
            *separator = Separator::Next;
            at += 1;
            if matches!(word.as_str(), "for" | "case" | "select") {
                return words.len();
            }
        }
        at.min(words.len())
    }

    /// Reads a command of the shell that changes what later ones mean.
    fn builtin(&mut self, words: &[String], separator: Separator) {
        let Some((name, arguments)) = words.split_first() else { return };
        match name.as_str() {
            "cd" => self.folder = self.changed_folder(arguments, separator),
            "pushd" | "popd" => self.folder = Folder::Unknown,
            // The other file may set the search path.
            "." | "source" => self.search_path_changed = true,
            "shift" if !self.is_in_function() => self.arguments = vec![vec![UNKNOWN_WORD.into()]],
            "set" => self.set_arguments(arguments, separator),
            _ => {}
        }
    }

    /// Keeps where a command of the shell leads.
    fn builtin_step(&mut self, words: &[String], before: Separator) {
        let Some((name, arguments)) = words.split_first() else { return };
        let status = arguments.first().map(String::as_str);
        let is_number = status.is_some_and(|status| status.bytes().all(|byte| byte.is_ascii_digit()));
        // After `||`, the status is that of the command that failed.
        let is_error = status != Some("0") && (is_number || before == Separator::Or);
        let step = match name.as_str() {
            "exit" => Step::Exit(before, is_error),
            "return" => Step::Return(before, is_error),
            "break" | "continue" => Step::Leave(before),
            _ => Step::Nothing(before),
        };
        self.step(step);
        let is_end = matches!(step, Step::Exit(Separator::Next | Separator::Background, _));
        self.is_ended |= is_end && self.open.is_empty();
    }

    fn changed_folder(&self, arguments: &[String], separator: Separator) -> Folder {
        let folder = match arguments {
            [folder] => folder,
            [option, folder] if matches!(option.as_str(), "--" | "-P" | "-L") => folder,
            _ => return Folder::Unknown,
        };
        let is_known = !folder.contains('$') && !folder.starts_with(['~', '-']) && !folder.is_empty();
        if !is_known || !self.open.is_empty() || matches!(separator, Separator::Or | Separator::Pipe) {
            return Folder::Unknown;
        }
        let below = |parent: &str| if folder.starts_with('/') { folder.clone() } else { format!("{parent}/{folder}") };
        let folder = match &self.folder {
            Folder::Start => folder.clone(),
            Folder::At(parent) | Folder::UntilNext(parent) => below(parent),
            Folder::Unknown if folder.starts_with('/') => folder.clone(),
            Folder::Unknown => return Folder::Unknown,
        };
        if folder.len() > FOLDER_MAX_BYTES {
            return Folder::Unknown;
        }
        if separator == Separator::And { Folder::UntilNext(folder) } else { Folder::At(folder) }
    }

    /// Reads `set -- a "$@"`, which changes the arguments.
    fn set_arguments(&mut self, arguments: &[String], separator: Separator) {
        let words = match arguments.split_first() {
            Some((dashes, words)) if dashes == "--" => words,
            Some((first, _)) if !first.starts_with(['-', '+']) => arguments,
            _ => return,
        };
        if self.is_in_function() {
            return;
        }
        let set = self.with_arguments(words);
        if self.open.is_empty() && separator == Separator::Next {
            self.arguments.clear();
        }
        self.arguments.extend(set);
        if self.arguments.len() > VARIANTS_MAX {
            self.arguments = vec![vec![UNKNOWN_WORD.into()]];
        }
    }

    /// Returns these words once for each variant of the arguments, in the place of `$@`.
    fn with_arguments(&self, words: &[String]) -> Vec<Vec<Rc<str>>> {
        if !words.iter().any(|word| word == ARGUMENTS) {
            return vec![words.iter().map(|word| word.as_str().into()).collect()];
        }
        let words: Vec<Rc<str>> = words.iter().take(VARIANT_WORDS_MAX).map(|word| word.as_str().into()).collect();
        let with = |arguments: &Vec<Rc<str>>| -> Vec<Rc<str>> {
            let put = |word: &Rc<str>| if &**word == ARGUMENTS { arguments.clone() } else { vec![Rc::clone(word)] };
            words.iter().flat_map(put).take(VARIANT_WORDS_MAX).collect()
        };
        self.arguments.iter().map(with).collect()
    }

    fn command(&mut self, mut words: Vec<String>, exec: bool, separator: Separator) {
        let is_eval = words.first().is_some_and(|word| word == "eval");
        if let Some(program) = words.first_mut() {
            if self.godebug_changed {
                *program = UNKNOWN_WORD.to_owned();
            } else if !program.contains('$') && !program.starts_with('/') {
                match (&self.folder, program.contains('/')) {
                    (_, false) if self.search_path_changed && !self.function_names.contains_key(program.as_str()) => {
                        *program = UNKNOWN_WORD.to_owned()
                    }
                    (_, false) | (Folder::Start, true) => {}
                    (Folder::At(folder) | Folder::UntilNext(folder), true) => *program = format!("{folder}/{program}"),
                    (Folder::Unknown, true) => *program = UNKNOWN_WORD.to_owned(),
                }
            }
        }
        if is_eval {
            // `eval` may have changed anything.
            (self.search_path_changed, self.folder) = (true, Folder::Unknown);
        }
        let first = self.text.commands.len();
        let variants = if exec {
            self.with_arguments(&words)
        } else {
            vec![words.iter().map(|word| word.as_str().into()).collect()]
        };
        for words in variants {
            count_turns(1 + words.len());
            let bytes = COMMAND_BYTES + words.iter().map(|word| WORD_BYTES + word.len()).sum::<usize>();
            match self.bytes_left.checked_sub(bytes) {
                Some(left) => self.bytes_left = left,
                None => return self.text.is_too_long = true,
            }
            self.text.commands.push(Command { words, exec, is_call: false });
        }
        let end = self.text.commands.len();
        self.step(if exec { Step::Exec(separator, first, end) } else { Step::Program(separator, first) });
        let is_sure = matches!(separator, Separator::Next | Separator::Background) && self.open.is_empty();
        self.is_ended |= exec && is_sure;
    }
}

//! Enough of a shell's grammar to find the programs that a text starts, and the one that stays. If a text does more than this parser
//! understands, the answer is unknown. Time and memory are in proportion to the text. Must not know of images.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::lexer::{ARGUMENTS, Separator, Token, UNKNOWN_WORD, is_assignment, tokens};
use crate::budget::{self, count_turns};

/// A simple command. Only the shell knows the value of a word with `$`, except [`ARGUMENTS`] and [`super::lexer::ITSELF`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) words: Vec<Rc<str>>,
    /// The command replaces the shell.
    pub(crate) exec: bool,
    /// The innermost function around the command.
    function: Option<Rc<str>>,
    /// Indexes of the last commands of the other branches of the same compound command.
    alternatives: Vec<usize>,
    /// The command is in a branch, a loop or parentheses, or after `||` or `|`.
    conditional: bool,
}

/// The commands of a text.
#[derive(Debug, Default)]
pub(crate) struct ShellText {
    /// In the order of the text, without the commands of the shell itself.
    pub(crate) commands: Vec<Command>,
    /// The text has more commands than are kept, or is beyond the work budget: nothing is known of it.
    pub(crate) is_too_long: bool,
    functions: HashSet<Rc<str>>,
}

/// The longest text that is read, in bytes; the longest entrypoint of Docker's official images has 17 KiB.
pub(crate) const TEXT_MAX_BYTES: usize = 64 << 10;

/// Commands of the shell itself, which start no program.
const BUILTINS: &[&str] = &[
    ":",
    "[",
    "[[",
    "alias",
    "bg",
    "break",
    "cd",
    "continue",
    "declare",
    "disown",
    "echo",
    "enable",
    "exit",
    "export",
    "false",
    "fg",
    "getopts",
    "hash",
    "history",
    "jobs",
    "kill",
    "let",
    "local",
    "mapfile",
    "popd",
    "printf",
    "pushd",
    "pwd",
    "read",
    "readarray",
    "readonly",
    "return",
    "set",
    "shift",
    "shopt",
    "source",
    ".",
    "test",
    "times",
    "trap",
    "true",
    "type",
    "typeset",
    "ulimit",
    "umask",
    "unalias",
    "unset",
    "wait",
];
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
    open: Vec<Compound>,
    /// The function whose body begins next.
    defines: Option<Rc<str>>,
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

/// An open compound command: `if`, `case`, `{`, `(` and the like.
struct Compound {
    /// The innermost function around the command.
    function: Option<Rc<str>>,
    /// The number of commands at the start of the current branch.
    branch_start: usize,
    /// Indexes of the last commands of the finished branches.
    ends: Vec<usize>,
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

/// A step of a search over commands.
#[derive(Clone, Copy)]
enum Step {
    Enter(usize),
    /// All that follows from the command was visited.
    Leave(usize),
}

/// The progress of a search at one command.
#[derive(Clone, Copy)]
enum Visit {
    None,
    Begun,
    Over,
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
            open: Vec::new(),
            defines: None,
            folder: Folder::Start,
            search_path_changed: false,
            godebug_changed: false,
            arguments: vec![vec![ARGUMENTS.into()]],
            bytes_left: COMMANDS_MAX_BYTES,
        };
        for token in tokens(text) {
            parser.read_token(token);
            if parser.text.is_too_long {
                return Self { is_too_long: true, ..Self::default() };
            }
            if parser.is_over() {
                break;
            }
        }
        parser.text
    }

    /// Returns the commands that may replace the shell; none if the text may end without one of them.
    pub(crate) fn replacements(&self) -> Vec<&Command> {
        if self.is_replaced() { self.commands.iter().filter(|command| command.exec).collect() } else { Vec::new() }
    }

    /// Returns the command that replaces the shell in every case in which the text runs to its end.
    pub(crate) fn replacement(&self) -> Option<&Command> {
        let (last, before) = self.commands.split_last()?;
        let sure = last.exec && !last.conditional && last.alternatives.is_empty() && last.function.is_none();
        (sure && !before.iter().any(|command| command.exec)).then_some(last)
    }

    /// Returns true if the shell is replaced once it runs its last command: all commands that may be the last one begin with `exec`, or
    /// call a function of which this is true. Visits each command once. A function that calls itself may run for ever.
    fn is_replaced(&self) -> bool {
        let last_of: HashMap<Option<&str>, usize> =
            self.commands.iter().enumerate().map(|(at, command)| (command.function.as_deref(), at)).collect();
        let Some(last) = last_of.get(&None) else { return false };
        let mut visits = vec![Visit::None; self.commands.len()];
        let mut steps = vec![Step::Enter(*last)];
        while let Some(step) = steps.pop() {
            count_turns(1);
            let (Step::Enter(at) | Step::Leave(at)) = step;
            let (Some(command), Some(visit)) = (self.commands.get(at), visits.get_mut(at)) else { return false };
            match (step, *visit) {
                (Step::Leave(_), _) => *visit = Visit::Over,
                (Step::Enter(_), Visit::Over) => {}
                (Step::Enter(_), Visit::Begun) => return false,
                (Step::Enter(_), Visit::None) => {
                    *visit = Visit::Begun;
                    steps.push(Step::Leave(at));
                    steps.extend(command.alternatives.iter().map(|other| Step::Enter(*other)));
                    if !command.exec {
                        let called = command.words.first().filter(|name| self.functions.contains(*name));
                        let Some(end) = called.and_then(|name| last_of.get(&Some(&**name))) else { return false };
                        steps.push(Step::Enter(*end));
                    }
                }
            }
        }
        true
    }
}

// === impl Parser ===

impl Parser {
    fn read_token(&mut self, token: Token) {
        match token {
            Token::Words(words, separator) => self.words(words, separator),
            Token::Function(name) => self.define_function(&name),
            Token::Pattern => self.end_branch(),
            Token::Open => self.begin_compound(),
            Token::Close => self.end_compound(),
        }
    }

    /// Returns true after an `exec` that is sure to run: the rest is never read and may be no shell text.
    fn is_over(&self) -> bool {
        self.open.is_empty() && self.text.commands.last().is_some_and(|last| last.exec && !last.conditional)
    }

    fn define_function(&mut self, name: &str) {
        let name: Rc<str> = name.into();
        self.text.functions.insert(Rc::clone(&name));
        self.defines = Some(name);
    }

    fn begin_compound(&mut self) {
        let function = self.defines.take().or_else(|| self.function().cloned());
        self.open.push(Compound { function, branch_start: self.text.commands.len(), ends: Vec::new() });
    }

    /// Begins another branch, or the first one after the condition.
    fn begin_branch(&mut self) {
        let count = self.text.commands.len();
        if let Some(compound) = self.open.last_mut() {
            compound.branch_start = count;
        }
    }

    fn end_branch(&mut self) {
        let count = self.text.commands.len();
        if let Some(compound) = self.open.last_mut()
            && count > compound.branch_start
        {
            compound.ends.push(count - 1);
        }
        self.begin_branch();
    }

    fn end_compound(&mut self) {
        let Some(Compound { function: _, branch_start: _, ends }) = self.open.pop() else { return };
        let count = self.text.commands.len();
        if let Some(last) = self.text.commands.last_mut() {
            last.alternatives.extend(ends.into_iter().filter(|end| end + 1 < count));
        }
    }

    fn words(&mut self, mut words: Vec<String>, separator: Separator) {
        if separator != Separator::And && matches!(self.folder, Folder::UntilNext(_)) {
            self.folder = Folder::Unknown;
        }
        self.search_path_changed |= words.iter().any(|word| word.starts_with("PATH="));
        self.godebug_changed |= words.iter().any(|word| word.starts_with("GODEBUG="));
        let begins = self.keywords(&words);
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
        let Some(first) = words.first() else { return };
        if !exec && BUILTINS.contains(&first.as_str()) {
            return self.builtin(&words, separator);
        }
        self.command(words, exec, separator);
    }

    /// Reads the keywords before a command and returns their number. The words of `for` and `case` have no command.
    fn keywords(&mut self, words: &[String]) -> usize {
        let mut at = 0;
        while let Some(word) = words.get(at) {
            match word.as_str() {
                "else" | "elif" => self.end_branch(),
                "then" | "do" => self.begin_branch(),
                "if" | "while" | "until" | "{" => self.begin_compound(),
                "for" | "case" | "select" => {
                    self.begin_compound();
                    return words.len();
                }
                "fi" | "done" | "esac" | "}" => self.end_compound(),
                "function" => {
                    if let Some(name) = words.get(at + 1) {
                        self.define_function(name);
                    }
                    at += 1;
                }
                "command" | "builtin" if words.get(at + 1).is_some_and(|next| next.starts_with('-')) => {
                    return words.len();
                }
                "command" | "builtin" => {}
                other if KEYWORDS.contains(&other) || is_assignment(other) => {}
                _ => break,
            }
            at += 1;
        }
        at.min(words.len())
    }

    fn builtin(&mut self, words: &[String], separator: Separator) {
        let Some((name, arguments)) = words.split_first() else { return };
        match name.as_str() {
            "cd" => self.folder = self.changed_folder(arguments, separator),
            "pushd" | "popd" => self.folder = Folder::Unknown,
            // The other file may set the search path.
            "." | "source" => self.search_path_changed = true,
            "shift" if self.function().is_none() => self.arguments = vec![vec![UNKNOWN_WORD.into()]],
            "set" => self.set_arguments(arguments, separator),
            _ => {}
        }
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
        if self.function().is_some() {
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
                    (_, false) if self.search_path_changed && !self.text.functions.contains(program.as_str()) => {
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
        let function = self.function().cloned();
        let conditional = !self.open.is_empty() || matches!(separator, Separator::Or | Separator::Pipe);
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
            let function = function.clone();
            self.text.commands.push(Command { words, exec, function, alternatives: Vec::new(), conditional });
        }
    }

    /// Returns the innermost function around the next command.
    fn function(&self) -> Option<&Rc<str>> {
        self.open.last()?.function.as_ref()
    }
}

//! As much of a shell's grammar as tells which programs a text starts, and which of them stays. Not a shell: where a text does
//! more than that, the answer is that it cannot be told. Must not know of images.

use super::lexer::{ARGUMENTS, Joint, Piece, UNTOLD, is_assignment, pieces};

/// A simple command: its words. A word with `$` in it stands for what only the shell knows, but for [`ARGUMENTS`] and [`super::lexer::ITSELF`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) words: Vec<String>,
    /// It takes the place of the shell.
    pub(crate) exec: bool,
    /// The innermost function in whose body it stands.
    function: Option<String>,
    /// What the text can end with in its place: the ends of the other branches of what ends with it.
    instead: Vec<usize>,
    /// It stands in a branch, a loop or parentheses, or runs only if what is before it failed, or beside it.
    maybe: bool,
}

/// What a text starts.
#[derive(Debug, Default)]
pub(crate) struct Text {
    /// In their order, without what the shell itself does.
    pub(crate) commands: Vec<Command>,
    functions: Vec<String>,
}

/// The longest text that is read; the longest entrypoint of Docker's official images has 17 KiB.
pub(crate) const TEXT_MAX: usize = 64 << 10;

/// Commands of the shell itself that start nothing, and after which the text goes on or ends.
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
/// What joins commands, or begins one, and opens nothing.
const KEYWORDS: [&str; 2] = ["!", "time"];
/// How many variants of its arguments a script may make, and how many words of one are kept.
const VARIANTS_MAX: usize = 8;
const VARIANT_WORDS: usize = 16;
/// How many functions may end in one another.
const CALLS_MAX: usize = 8;

/// Reads the pieces of a text one after the other.
struct Reader {
    text: Text,
    open: Vec<Compound>,
    /// The body of this function is to begin.
    defines: Option<String>,
    folder: Folder,
    /// A program that the search path finds is not told any more.
    searches: bool,
    /// How names are resolved was changed.
    resolves: bool,
    /// All that the arguments may be: those that were given, or what `set --` made of them.
    arguments: Vec<Vec<String>>,
}

/// `if`, `case`, `{`, `(` and the like, until it ends.
struct Compound {
    function: Option<String>,
    /// How many commands there were when the present branch began.
    begun: usize,
    /// The last command of each branch that is over.
    ends: Vec<usize>,
}

/// Which folder the shell is in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Folder {
    /// That in which it was started.
    #[default]
    Start,
    /// This one, below that if it is relative.
    At(String),
    /// This one, as long as commands are joined by `&&`.
    WhileJoined(String),
    Untold,
}

// === impl Text ===

impl Text {
    /// Reads a text. Substitutions are not looked into.
    pub(crate) fn read(text: &str) -> Self {
        let mut reader = Reader {
            text: Self::default(),
            open: Vec::new(),
            defines: None,
            folder: Folder::Start,
            searches: false,
            resolves: false,
            arguments: vec![vec![ARGUMENTS.to_owned()]],
        };
        for piece in pieces(text) {
            reader.read(piece);
            if reader.is_over() {
                break;
            }
        }
        reader.text
    }

    /// The commands that may take the place of the shell; none unless the text is sure to end with one of them.
    pub(crate) fn replacements(&self) -> Vec<&Command> {
        let last = self.last(None);
        if last.is_some_and(|last| self.is_replaced(last, CALLS_MAX)) {
            self.commands.iter().filter(|command| command.exec).collect()
        } else {
            Vec::new()
        }
    }

    /// The command that is sure to take the place of the shell, if the text comes to its end, and no other does.
    pub(crate) fn replacement(&self) -> Option<&Command> {
        let (last, before) = self.commands.split_last()?;
        let sure = last.exec && !last.maybe && last.instead.is_empty() && last.function.is_none();
        (sure && !before.iter().any(|command| command.exec)).then_some(last)
    }

    fn last(&self, function: Option<&str>) -> Option<usize> {
        self.commands.iter().rposition(|command| command.function.as_deref() == function)
    }

    /// Whether the shell is replaced once it comes to this command.
    fn is_replaced(&self, at: usize, calls: usize) -> bool {
        let Some(Command { words, exec, instead, .. }) = self.commands.get(at) else { return false };
        let called = words.first().filter(|name| self.functions.contains(name));
        let ends = *exec
            || called.is_some_and(|name| {
                calls > 0 && self.last(Some(name)).is_some_and(|last| self.is_replaced(last, calls - 1))
            });
        // Each stands before the command in whose place it is, so that this ends.
        ends && instead.iter().all(|other| *other < at && self.is_replaced(*other, calls))
    }
}

// === impl Reader ===

impl Reader {
    fn read(&mut self, piece: Piece) {
        match piece {
            Piece::Words(words, joint) => self.words(words, joint),
            Piece::Function(name) => self.defines(name),
            Piece::Pattern => self.end_branch(),
            Piece::Open => self.begin(),
            Piece::Close => self.end(),
        }
    }

    /// What stands behind an `exec` that is sure to be come to is never read: it may be no shell's text at all.
    fn is_over(&self) -> bool {
        self.open.is_empty() && self.text.commands.last().is_some_and(|last| last.exec && !last.maybe)
    }

    fn defines(&mut self, name: String) {
        self.text.functions.push(name.clone());
        self.defines = Some(name);
    }

    fn begin(&mut self) {
        let function = self.defines.take();
        self.open.push(Compound { function, begun: self.text.commands.len(), ends: Vec::new() });
    }

    /// What comes now is another branch, or the first after what decides.
    fn begin_branch(&mut self) {
        let count = self.text.commands.len();
        if let Some(compound) = self.open.last_mut() {
            compound.begun = count;
        }
    }

    fn end_branch(&mut self) {
        let count = self.text.commands.len();
        if let Some(compound) = self.open.last_mut()
            && count > compound.begun
        {
            compound.ends.push(count - 1);
        }
        self.begin_branch();
    }

    fn end(&mut self) {
        let Some(Compound { function: _, begun: _, ends }) = self.open.pop() else { return };
        let count = self.text.commands.len();
        if let Some(last) = self.text.commands.last_mut() {
            last.instead.extend(ends.into_iter().filter(|end| end + 1 < count));
        }
    }

    fn words(&mut self, mut words: Vec<String>, joint: Joint) {
        if joint != Joint::And && matches!(self.folder, Folder::WhileJoined(_)) {
            self.folder = Folder::Untold;
        }
        self.searches |= words.iter().any(|word| word.starts_with("PATH="));
        self.resolves |= words.iter().any(|word| word.starts_with("GODEBUG="));
        let begins = self.keywords(&words);
        words.drain(..begins);
        let exec = words.first().is_some_and(|word| word == "exec");
        if exec {
            words.remove(0);
            // `exec -a NAME`, `-c`, `-l`; an `exec` with redirections alone starts nothing.
            if words.first().is_some_and(|word| word == "-a") {
                words.drain(..words.len().min(2));
            }
            while words.first().is_some_and(|word| matches!(word.as_str(), "-c" | "-l" | "-cl" | "--")) {
                words.remove(0);
            }
        }
        let Some(first) = words.first() else { return };
        if !exec && BUILTINS.contains(&first.as_str()) {
            return self.builtin(&words, joint);
        }
        self.command(words, exec, joint);
    }

    /// Passes over what stands before a command, and gives how many words that are. What only names a list has no command.
    fn keywords(&mut self, words: &[String]) -> usize {
        let mut at = 0;
        while let Some(word) = words.get(at) {
            match word.as_str() {
                "else" | "elif" => self.end_branch(),
                "then" | "do" => self.begin_branch(),
                "if" | "while" | "until" | "{" => self.begin(),
                "for" | "case" | "select" => {
                    self.begin();
                    return words.len();
                }
                "fi" | "done" | "esac" | "}" => self.end(),
                "function" => {
                    if let Some(name) = words.get(at + 1) {
                        self.defines(name.clone());
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

    fn builtin(&mut self, words: &[String], joint: Joint) {
        let Some((name, arguments)) = words.split_first() else { return };
        match name.as_str() {
            "cd" => self.folder = self.moved(arguments, joint),
            "pushd" | "popd" => self.folder = Folder::Untold,
            // Another file may set the search path.
            "." | "source" => self.searches = true,
            "shift" if self.function().is_none() => self.arguments = vec![vec![UNTOLD.to_owned()]],
            "set" => self.set(arguments, joint),
            _ => {}
        }
    }

    fn moved(&self, arguments: &[String], joint: Joint) -> Folder {
        let folder = match arguments {
            [folder] => folder,
            [option, folder] if matches!(option.as_str(), "--" | "-P" | "-L") => folder,
            _ => return Folder::Untold,
        };
        let is_told = !folder.contains('$') && !folder.starts_with(['~', '-']) && !folder.is_empty();
        if !is_told || !self.open.is_empty() || matches!(joint, Joint::Or | Joint::Pipe) {
            return Folder::Untold;
        }
        let below = |parent: &str| if folder.starts_with('/') { folder.clone() } else { format!("{parent}/{folder}") };
        let folder = match &self.folder {
            Folder::Start => folder.clone(),
            Folder::At(parent) | Folder::WhileJoined(parent) => below(parent),
            Folder::Untold if folder.starts_with('/') => folder.clone(),
            Folder::Untold => return Folder::Untold,
        };
        if joint == Joint::And { Folder::WhileJoined(folder) } else { Folder::At(folder) }
    }

    /// `set -- a "$@"`: the arguments are others from here on, or may be.
    fn set(&mut self, arguments: &[String], joint: Joint) {
        let words = match arguments.split_first() {
            Some((dashes, words)) if dashes == "--" => words,
            Some((first, _)) if !first.starts_with(['-', '+']) => arguments,
            _ => return,
        };
        if self.function().is_some() {
            return;
        }
        let set = self.with_arguments(words);
        if self.open.is_empty() && joint == Joint::Next {
            self.arguments.clear();
        }
        self.arguments.extend(set);
        if self.arguments.len() > VARIANTS_MAX {
            self.arguments = vec![vec![UNTOLD.to_owned()]];
        }
    }

    /// These words, with all that the arguments may be in the place of the arguments.
    fn with_arguments(&self, words: &[String]) -> Vec<Vec<String>> {
        if !words.iter().any(|word| word == ARGUMENTS) {
            return vec![words.to_vec()];
        }
        let with = |arguments: &Vec<String>| -> Vec<String> {
            let put = |word: &String| if word == ARGUMENTS { arguments.clone() } else { vec![word.clone()] };
            words.iter().take(VARIANT_WORDS).flat_map(put).take(VARIANT_WORDS).collect()
        };
        self.arguments.iter().map(with).collect()
    }

    fn command(&mut self, mut words: Vec<String>, exec: bool, joint: Joint) {
        let is_eval = words.first().is_some_and(|word| word == "eval");
        if let Some(program) = words.first_mut() {
            if self.resolves {
                *program = UNTOLD.to_owned();
            } else if !program.contains('$') && !program.starts_with('/') {
                match (&self.folder, program.contains('/')) {
                    (_, false) if self.searches && !self.text.functions.contains(program) => {
                        *program = UNTOLD.to_owned()
                    }
                    (_, false) | (Folder::Start, true) => {}
                    (Folder::At(folder) | Folder::WhileJoined(folder), true) => {
                        *program = format!("{folder}/{program}")
                    }
                    (Folder::Untold, true) => *program = UNTOLD.to_owned(),
                }
            }
        }
        if is_eval {
            // It may have done anything.
            (self.searches, self.folder) = (true, Folder::Untold);
        }
        let function = self.function().map(str::to_owned);
        let maybe = !self.open.is_empty() || matches!(joint, Joint::Or | Joint::Pipe);
        let variants = if exec { self.with_arguments(&words) } else { vec![words] };
        for words in variants {
            let function = function.clone();
            self.text.commands.push(Command { words, exec, function, instead: Vec::new(), maybe });
        }
    }

    fn function(&self) -> Option<&str> {
        self.open.iter().rev().find_map(|compound| compound.function.as_deref())
    }
}

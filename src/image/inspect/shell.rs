//! As much of a shell's grammar as tells which programs a text starts. Not a shell: where a text does more than that, the answer
//! is that it cannot be told. Must not know of images.

/// A simple command: its words. A word with `$` in it stands for what only the shell knows, but for [`ARGUMENTS`] and [`ITSELF`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) words: Vec<String>,
    /// It takes the place of the shell.
    pub(super) exec: bool,
}

/// The word that stands for all arguments of the script.
pub(super) const ARGUMENTS: &str = "$@";
/// The word that stands for the script itself.
pub(super) const ITSELF: &str = "$0";
/// The word that stands for what cannot be told.
pub(super) const UNTOLD: &str = "$?";

/// What joins commands, or begins one.
const KEYWORDS: [&str; 9] = ["then", "do", "else", "elif", "if", "while", "until", "{", "!"];
/// Commands of the shell itself that start nothing, and after which the text goes on.
const BUILTINS: [&str; 24] = [
    ":", "[", "[[", "alias", "break", "cd", "continue", "echo", "export", "false", "hash", "local", "printf", "pwd",
    "read", "readonly", "set", "shift", "test", "trap", "true", "ulimit", "umask", "unset",
];
/// Words that only end what another has begun.
const ENDS: [&str; 5] = ["fi", "done", "esac", "}", ";;"];

/// The commands of `text` that take the shell's place, wherever they stand.
pub(super) fn execs(text: &str) -> Vec<Command> {
    commands(text).into_iter().filter(|command| command.exec).collect()
}

/// The commands of `text` in their order, without those of the shell itself. Substitutions and functions are not looked into.
/// Once the text changes folder or search path, a program that is found by these is not told.
pub(super) fn commands(text: &str) -> Vec<Command> {
    let (mut moved, mut searches) = (false, false);
    let mut commands = Vec::new();
    for words in split(text) {
        moved |= words.first().is_some_and(|word| matches!(word.as_str(), "cd" | "pushd"));
        searches |= words.iter().any(|word| word.starts_with("PATH="));
        let Some(mut command) = simple(words) else { continue };
        if let Some(program) = command.words.first_mut().filter(|program| !program.contains('$')) {
            let relative = !program.starts_with('/');
            if relative && if program.contains('/') { moved } else { searches } {
                *program = UNTOLD.to_owned();
            }
        }
        commands.push(command);
    }
    commands
}

/// Makes a command of the words between two separators.
fn simple(words: Vec<String>) -> Option<Command> {
    let mut words =
        words.into_iter().skip_while(|word| KEYWORDS.contains(&word.as_str()) || is_assignment(word)).peekable();
    let exec = words.next_if(|word| word == "exec").is_some();
    let mut words: Vec<String> = words.collect();
    if exec {
        // `exec -a NAME`, `-c`, `-l`; an `exec` with redirections alone starts nothing.
        if words.first().is_some_and(|word| word == "-a") {
            words.drain(..words.len().min(2));
        }
        while words.first().is_some_and(|word| matches!(word.as_str(), "-c" | "-l" | "-cl" | "--")) {
            words.remove(0);
        }
    }
    let first = words.first()?;
    let starts_nothing = BUILTINS.contains(&first.as_str()) || ENDS.contains(&first.as_str());
    (exec || !starts_nothing).then_some(Command { words, exec })
}

/// `NAME=value`.
pub(super) fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

/// Splits a text at what separates commands, and each part into words. Quotes, comments and redirections are left out.
fn split(text: &str) -> Vec<Vec<String>> {
    let mut splitter = Splitter::default();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('\n') | None => {}
                Some(escaped) => splitter.push(escaped),
            },
            '\'' => {
                splitter.begin();
                for quoted in chars.by_ref().take_while(|c| *c != '\'') {
                    splitter.push(quoted);
                }
            }
            '"' => {
                splitter.begin();
                while let Some(quoted) = chars.next() {
                    match quoted {
                        '"' => break,
                        '\\' => chars.next().into_iter().for_each(|c| splitter.push(c)),
                        '$' | '`' => splitter.expansion(quoted, &mut chars),
                        other => splitter.push(other),
                    }
                }
            }
            '$' | '`' => splitter.expansion(c, &mut chars),
            '#' if splitter.word.is_none() => while chars.next_if(|c| *c != '\n').is_some() {},
            ' ' | '\t' | '\r' => splitter.end_word(),
            '\n' | ';' | '(' | ')' => splitter.end_command(),
            '&' if splitter.redirects => splitter.push('&'),
            '&' if chars.peek() == Some(&'>') => {
                chars.next();
                splitter.redirect();
            }
            '&' | '|' => splitter.end_command(),
            '<' | '>' => splitter.redirect(),
            other => splitter.push(other),
        }
    }
    splitter.end_command();
    splitter.commands
}

#[derive(Default)]
struct Splitter {
    word: Option<String>,
    words: Vec<String>,
    commands: Vec<Vec<String>>,
    /// The next word is where something is redirected to.
    redirects: bool,
}

// === impl Splitter ===

impl Splitter {
    fn begin(&mut self) {
        self.word.get_or_insert_default();
    }

    fn push(&mut self, c: char) {
        self.word.get_or_insert_default().push(c);
    }

    /// Takes in `$@`, `$0`, and marks a word with any other expansion as untold.
    fn expansion(&mut self, sign: char, chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
        self.begin();
        let mut name = String::new();
        if sign == '`' {
            while chars.next_if(|c| *c != '`').is_some() {}
            chars.next();
        } else if let Some(open) = chars.next_if(|c| matches!(c, '{' | '(')) {
            let close = if open == '{' { '}' } else { ')' };
            let mut depth = 1_usize;
            for c in chars.by_ref() {
                depth = if c == open {
                    depth + 1
                } else if c == close {
                    depth - 1
                } else {
                    depth
                };
                if depth == 0 {
                    break;
                }
                name.push(c);
            }
            if open == '(' {
                name.push('(');
            }
        } else if let Some(c) = chars.next_if(|c| matches!(c, '@' | '*' | '#' | '?' | '$' | '!' | '-' | '0'..='9')) {
            name.push(c);
        } else {
            while let Some(c) = chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
                name.push(c);
            }
        }
        let told = match name.as_str() {
            "@" | "*" => ARGUMENTS,
            "0" | "BASH_SOURCE" | "BASH_SOURCE[0]" => ITSELF,
            // `${1+"$@"}` and `${@:2}` hold arguments, and which is not told.
            _ => UNTOLD,
        };
        self.word.get_or_insert_default().push_str(told);
    }

    fn redirect(&mut self) {
        // `2>`: the number belongs to the redirection.
        if self.word.as_deref().is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_digit())) {
            self.word = None;
        }
        self.end_word();
        self.redirects = true;
    }

    fn end_word(&mut self) {
        if let Some(word) = self.word.take()
            && !std::mem::take(&mut self.redirects)
        {
            self.words.push(word);
        }
    }

    fn end_command(&mut self) {
        self.end_word();
        self.redirects = false;
        if !self.words.is_empty() {
            self.commands.push(std::mem::take(&mut self.words));
        }
    }
}

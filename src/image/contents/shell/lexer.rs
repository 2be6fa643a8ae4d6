//! A shell's text, cut where commands begin and end: words without their quotes, and what stands between commands. Comments,
//! redirections, here-documents and the lists of arrays are left out. Must not know what any command does.

use std::iter::Peekable;
use std::str::Chars;

/// The word that stands for all arguments of the script.
pub(crate) const ARGUMENTS: &str = "$@";
/// The word that stands for the script itself.
pub(crate) const ITSELF: &str = "$0";
/// The word that stands for what cannot be told.
pub(crate) const UNTOLD: &str = "$?";

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// The words between two separators, and what stood before them.
    Words(Vec<String>, Joint),
    /// `name()`: what follows is the body of a function.
    Function(String),
    /// The pattern of a `case`: another branch begins.
    Pattern,
    /// `(`.
    Open,
    /// `)`.
    Close,
}

/// What stands between two commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Joint {
    /// A line's end, `;`, `&`, or the beginning of the text.
    #[default]
    Next,
    /// `&&`.
    And,
    /// `||`.
    Or,
    /// `|`.
    Pipe,
}

/// `NAME=value`.
pub(crate) fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

/// Cuts a text.
pub(crate) fn pieces(text: &str) -> Vec<Piece> {
    let mut cutter = Cutter { chars: text.chars().peekable(), ..Cutter::default() };
    while let Some(c) = cutter.chars.next() {
        cutter.take(c);
    }
    cutter.end_command(Joint::Next);
    cutter.pieces
}

struct Cutter<'t> {
    chars: Peekable<Chars<'t>>,
    pieces: Vec<Piece>,
    /// What stood before the present command.
    joint: Joint,
    words: Vec<String>,
    word: Option<String>,
    /// The next word is where something is redirected to.
    redirects: bool,
    /// What ends the here-documents that begin with the next line, and whether tabs before it are left out.
    documents: Vec<(String, bool)>,
    /// How many `(` are open.
    open: usize,
}

// === impl Cutter ===

impl Default for Cutter<'_> {
    fn default() -> Self {
        Self {
            chars: "".chars().peekable(),
            pieces: Vec::new(),
            joint: Joint::Next,
            words: Vec::new(),
            word: None,
            redirects: false,
            documents: Vec::new(),
            open: 0,
        }
    }
}

impl Cutter<'_> {
    fn take(&mut self, c: char) {
        match c {
            '\\' => match self.chars.next() {
                Some('\n') | None => {}
                Some(escaped) => self.push(escaped),
            },
            '\'' => {
                self.begin();
                while let Some(quoted) = self.chars.next().filter(|c| *c != '\'') {
                    self.push(quoted);
                }
            }
            '"' => self.quoted(),
            '$' | '`' => self.expansion(c),
            '#' if self.word.is_none() => while self.chars.next_if(|c| *c != '\n').is_some() {},
            ' ' | '\t' | '\r' => self.end_word(),
            '\n' => {
                self.end_command(Joint::Next);
                self.pass_over_documents();
            }
            ';' => self.end_command(Joint::Next),
            '(' => self.open(),
            ')' => self.close(),
            // `>&2`.
            '&' if self.redirects && self.word.is_none() => self.push('&'),
            '&' if self.chars.next_if_eq(&'>').is_some() => self.redirect(),
            '&' if self.chars.next_if_eq(&'&').is_some() => self.end_command(Joint::And),
            '&' => self.end_command(Joint::Next),
            '|' if self.chars.next_if_eq(&'|').is_some() => self.end_command(Joint::Or),
            '|' => {
                self.chars.next_if_eq(&'&');
                self.end_command(Joint::Pipe);
            }
            '<' if self.chars.next_if_eq(&'<').is_some() => self.document(),
            '<' | '>' => self.redirect(),
            other => self.push(other),
        }
    }

    fn begin(&mut self) {
        self.word.get_or_insert_default();
    }

    fn push(&mut self, c: char) {
        self.word.get_or_insert_default().push(c);
    }

    fn quoted(&mut self) {
        self.begin();
        while let Some(c) = self.chars.next() {
            match c {
                '"' => return,
                '\\' => match self.chars.next() {
                    Some('\n') | None => {}
                    Some(escaped) => self.push(escaped),
                },
                '$' | '`' => self.expansion(c),
                other => self.push(other),
            }
        }
    }

    /// Takes in `$@`, `$0`, and marks a word with any other expansion as untold.
    fn expansion(&mut self, sign: char) {
        let chars = &mut self.chars;
        let mut name = String::new();
        if sign == '`' {
            while chars.next_if(|c| *c != '`').is_some() {}
            chars.next();
        } else if let Some(open) = chars.next_if(|c| matches!(c, '{' | '(')) {
            let close = if open == '{' { '}' } else { ')' };
            let mut depth = 1_usize;
            for c in chars.by_ref() {
                depth = match c {
                    c if c == open => depth + 1,
                    c if c == close => depth - 1,
                    _ => depth,
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
            // `${1+"$@"}` is how shells of old wrote "$@".
            "@" | "*" | "1+\"$@\"" => ARGUMENTS,
            "0" | "BASH_SOURCE" | "BASH_SOURCE[0]" => ITSELF,
            // `${@:2}` holds arguments, and which is not told.
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

    /// What follows `<<`: another `<` and a word, or what ends a here-document.
    fn document(&mut self) {
        self.redirect();
        if self.chars.next_if_eq(&'<').is_some() {
            return;
        }
        self.redirects = false;
        let tabs = self.chars.next_if_eq(&'-').is_some();
        while self.chars.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
        let mut end = String::new();
        let mut quote = None;
        while let Some(c) = self.chars.next_if(|c| *c != '\n' && (quote.is_some() || !" \t;&|<>()".contains(*c))) {
            match (c, quote) {
                ('\'' | '"', None) => quote = Some(c),
                (c, Some(open)) if c == open => quote = None,
                ('\\', _) => {}
                (c, _) => end.push(c),
            }
        }
        self.documents.push((end, tabs));
    }

    fn pass_over_documents(&mut self) {
        for (end, tabs) in std::mem::take(&mut self.documents) {
            while self.chars.peek().is_some() {
                let mut line = String::new();
                while let Some(c) = self.chars.next().filter(|c| *c != '\n') {
                    line.push(c);
                }
                let line = if tabs { line.trim_start_matches('\t') } else { &line };
                if line == end {
                    break;
                }
            }
        }
    }

    fn open(&mut self) {
        if self.word.as_deref().is_some_and(|word| word.ends_with('=')) {
            return self.pass_over_list();
        }
        self.end_word();
        while self.chars.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
        let is_named = match self.words.as_slice() {
            [_] => true,
            [function, _] => function == "function",
            _ => false,
        };
        if is_named && self.chars.next_if_eq(&')').is_some() {
            let name = self.words.pop().unwrap_or_default();
            self.words.clear();
            self.pieces.push(Piece::Function(name));
            return;
        }
        self.end_command(Joint::Next);
        self.open += 1;
        self.pieces.push(Piece::Open);
    }

    /// `names=(one two)`: none of these is a command.
    fn pass_over_list(&mut self) {
        let mut depth = 1_usize;
        while let Some(c) = self.chars.next() {
            match c {
                '\\' => drop(self.chars.next()),
                '\'' | '"' => while self.chars.next().is_some_and(|quoted| quoted != c) {},
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
        self.push('(');
    }

    fn close(&mut self) {
        if self.open > 0 {
            self.open -= 1;
            self.end_command(Joint::Next);
            self.pieces.push(Piece::Close);
            return;
        }
        // `case $x in a|b)`: what stands before belongs to the pattern.
        self.end_word();
        let mut words = std::mem::take(&mut self.words);
        let is_case = |words: &[String]| words.first().is_some_and(|word| word == "case");
        while !is_case(&words) && self.joint == Joint::Pipe {
            match self.pieces.pop() {
                Some(Piece::Words(before, joint)) => (words, self.joint) = (before, joint),
                Some(other) => {
                    self.pieces.push(other);
                    break;
                }
                None => break,
            }
        }
        if is_case(&words) {
            self.pieces.push(Piece::Words(words, std::mem::take(&mut self.joint)));
        }
        self.joint = Joint::Next;
        self.pieces.push(Piece::Pattern);
    }

    fn end_word(&mut self) {
        if let Some(word) = self.word.take()
            && !std::mem::take(&mut self.redirects)
        {
            self.words.push(word);
        }
    }

    fn end_command(&mut self, joint: Joint) {
        self.end_word();
        self.redirects = false;
        if !self.words.is_empty() {
            let before = std::mem::replace(&mut self.joint, joint);
            self.pieces.push(Piece::Words(std::mem::take(&mut self.words), before));
        }
        // `;` and a line's end after `&&` are of no account.
        if joint != Joint::Next {
            self.joint = joint;
        }
    }
}

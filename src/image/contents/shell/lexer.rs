//! The tokens of a shell's text: the words of each command without quotes, and what separates commands. Leaves out comments,
//! redirections, here-documents and the lists of arrays. Must not know what any command does.

use std::iter::Peekable;
use std::str::Chars;

use crate::budget::count_turns;

/// The word for all arguments of the script.
pub(crate) const ARGUMENTS: &str = "$@";
/// The word for the script itself.
pub(crate) const ITSELF: &str = "$0";
/// The word for an unknown one.
pub(crate) const UNKNOWN_WORD: &str = "$?";

/// A token of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// The words between two separators, with the separator before them.
    Words(Vec<String>, Separator),
    /// `name()`; the body of the function follows.
    Function(String),
    /// The pattern of a `case`; another branch begins. With `true`, the pattern matches every word.
    Pattern(bool),
    /// `;&` or `;;&`: the branch of a `case` goes on into the next one.
    FallThrough,
    /// `(`, with the separator before it.
    Open(Separator),
    /// `)`.
    Close,
}

/// A separator of two commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Separator {
    /// The end of a line, `;`, or the start of the text.
    #[default]
    Next,
    /// `&`.
    Background,
    /// `&&`.
    And,
    /// `||`.
    Or,
    /// `|`.
    Pipe,
}

/// Returns true for `NAME=value`.
pub(crate) fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

/// Returns the tokens of a text.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer { chars: text.chars().peekable(), ..Lexer::default() };
    while let Some(c) = lexer.chars.next() {
        count_turns(1);
        lexer.read_char(c);
    }
    lexer.end_command(Separator::Next);
    lexer.tokens
}

struct Lexer<'t> {
    chars: Peekable<Chars<'t>>,
    tokens: Vec<Token>,
    /// The separator before the current command.
    separator: Separator,
    words: Vec<String>,
    word: Option<String>,
    /// The next word is the target of a redirection.
    redirects: bool,
    /// The end marks of the here-documents that begin with the next line; with `true`, tabs before the mark are ignored.
    here_documents: Vec<(String, bool)>,
    /// The number of open `(`.
    open_parentheses: usize,
    /// The current or the last word has a quote.
    is_quoted: bool,
    /// The next `)` ends a pattern of a `case`.
    expects_pattern: bool,
}

// === impl Lexer ===

impl Default for Lexer<'_> {
    fn default() -> Self {
        Self {
            chars: "".chars().peekable(),
            tokens: Vec::new(),
            separator: Separator::Next,
            words: Vec::new(),
            word: None,
            redirects: false,
            here_documents: Vec::new(),
            open_parentheses: 0,
            is_quoted: false,
            expects_pattern: false,
        }
    }
}

impl Lexer<'_> {
    fn read_char(&mut self, c: char) {
        match c {
            '\\' => match self.chars.next() {
                Some('\n') | None => {}
                Some(escaped) => {
                    self.push(escaped);
                    self.is_quoted = true;
                }
            },
            '\'' => {
                self.begin_word();
                self.is_quoted = true;
                while let Some(quoted) = self.chars.next().filter(|c| *c != '\'') {
                    self.push(quoted);
                }
            }
            '"' => self.quoted(),
            '$' | '`' => self.expansion(c),
            '#' if self.word.is_none() => while self.chars.next_if(|c| *c != '\n').is_some() {},
            ' ' | '\t' | '\r' => self.end_word(),
            '\n' => {
                self.end_command(Separator::Next);
                self.skip_here_documents();
            }
            ';' => self.semicolon(),
            '(' => self.open_parenthesis(),
            ')' => self.close_parenthesis(),
            // `>&2`.
            '&' if self.redirects && self.word.is_none() => self.push('&'),
            '&' if self.chars.next_if_eq(&'>').is_some() => self.redirect(),
            '&' if self.chars.next_if_eq(&'&').is_some() => self.end_command(Separator::And),
            '&' => self.end_command(Separator::Background),
            '|' if self.chars.next_if_eq(&'|').is_some() => self.end_command(Separator::Or),
            '|' => {
                self.chars.next_if_eq(&'&');
                self.end_command(Separator::Pipe);
            }
            '<' if self.chars.next_if_eq(&'<').is_some() => self.here_document(),
            '<' | '>' => self.redirect(),
            other => self.push(other),
        }
    }

    fn begin_word(&mut self) {
        self.is_quoted &= self.word.is_some();
        self.word.get_or_insert_default();
    }

    fn push(&mut self, c: char) {
        self.begin_word();
        self.word.get_or_insert_default().push(c);
    }

    /// Reads what follows a `;`: the end of a command, or of a branch of a `case`.
    fn semicolon(&mut self) {
        self.end_command(Separator::Next);
        let ends_branch = self.chars.next_if_eq(&';').is_some();
        if self.chars.next_if_eq(&'&').is_some() {
            self.tokens.push(Token::FallThrough);
            self.expects_pattern = true;
        }
        self.expects_pattern |= ends_branch;
    }

    fn quoted(&mut self) {
        self.begin_word();
        self.is_quoted = true;
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

    /// Reads an expansion: keeps `$@` and `$0`, and marks a word with any other as unknown.
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
        let word = match name.as_str() {
            // Old shells need `${1+"$@"}` for "$@".
            "@" | "*" | "1+\"$@\"" => ARGUMENTS,
            "0" | "BASH_SOURCE" | "BASH_SOURCE[0]" => ITSELF,
            // `${@:2}` is some of the arguments.
            _ => UNKNOWN_WORD,
        };
        self.begin_word();
        self.word.get_or_insert_default().push_str(word);
    }

    fn redirect(&mut self) {
        // `2>`: the number is part of the redirection.
        if self.word.as_deref().is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_digit())) {
            self.word = None;
        }
        self.end_word();
        self.redirects = true;
    }

    /// Reads what follows `<<`: another `<` and a word, or the end mark of a here-document.
    fn here_document(&mut self) {
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
        self.here_documents.push((end, tabs));
    }

    fn skip_here_documents(&mut self) {
        for (end, tabs) in std::mem::take(&mut self.here_documents) {
            count_turns(1);
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

    fn open_parenthesis(&mut self) {
        if self.word.as_deref().is_some_and(|word| word.ends_with('=')) {
            return self.skip_list();
        }
        self.end_word();
        // `case $x in (a)`: the first parenthesis of a pattern means nothing.
        if self.expects_pattern {
            return;
        }
        while self.chars.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
        let is_named = self.words.split_last().is_some_and(|(_, before)| {
            before.iter().all(|word| matches!(word.as_str(), "function" | "then" | "else" | "do" | "{"))
        });
        if is_named && self.chars.next_if_eq(&')').is_some() {
            let name = self.words.pop().unwrap_or_default();
            self.words.retain(|word| word != "function");
            self.end_command(Separator::Next);
            self.tokens.push(Token::Function(name));
            return;
        }
        self.end_command(Separator::Next);
        self.open_parentheses += 1;
        let before = std::mem::take(&mut self.separator);
        self.tokens.push(Token::Open(before));
    }

    /// Skips `(one two)` of `names=(one two)`, which has no command.
    fn skip_list(&mut self) {
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

    fn close_parenthesis(&mut self) {
        self.end_word();
        if self.open_parentheses > 0 && !self.expects_pattern {
            self.open_parentheses -= 1;
            self.end_command(Separator::Next);
            self.tokens.push(Token::Close);
            return;
        }
        // `case $x in a|b)`: the words before are part of the pattern.
        self.expects_pattern = false;
        let mut words = std::mem::take(&mut self.words);
        let matches_all = !self.is_quoted && words.last().is_some_and(|word| word == "*");
        let is_case = |words: &[String]| words.iter().any(|word| word == "case");
        while !is_case(&words) && self.separator == Separator::Pipe {
            count_turns(1);
            match self.tokens.pop() {
                Some(Token::Words(before, separator)) => (words, self.separator) = (before, separator),
                Some(other) => {
                    self.tokens.push(other);
                    break;
                }
                None => break,
            }
        }
        if is_case(&words) {
            self.tokens.push(Token::Words(words, std::mem::take(&mut self.separator)));
        }
        self.separator = Separator::Next;
        self.tokens.push(Token::Pattern(matches_all));
    }

    fn end_word(&mut self) {
        if let Some(word) = self.word.take()
            && !std::mem::take(&mut self.redirects)
        {
            let is_in = word == "in" && self.words.iter().rev().nth(1).is_some_and(|before| before == "case");
            self.expects_pattern |= is_in;
            self.expects_pattern &= word != "esac" || self.is_quoted;
            self.words.push(word);
        }
    }

    fn end_command(&mut self, separator: Separator) {
        self.end_word();
        self.redirects = false;
        if !self.words.is_empty() {
            let before = std::mem::replace(&mut self.separator, separator);
            self.tokens.push(Token::Words(std::mem::take(&mut self.words), before));
        }
        // `;` and the end of a line after `&&` separate nothing.
        if separator != Separator::Next {
            self.separator = separator;
        }
    }
}

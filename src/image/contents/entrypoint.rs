//! Which resolver the process of a container uses: follows its command, from the image or the pod, through links, scripts and
//! programs that start another, to the program that stays. The answer is never more certain than the files: otherwise it is
//! unknown, with the reason. Work and memory are bounded, whatever the command and the image. Must not know how the facts were found.

use std::collections::HashMap;
use std::rc::Rc;

use super::facts::{Found, ImageFacts};
use super::files::c_ares::CAres;
use super::files::libc::Libc;
use super::files::script::{Script, is_shell};
use super::layers::path::split_path;
use super::program_kind::ProgramKind;
use super::program_resolver::{Answer, Process, Program, Unknown, common_answer, known, unknown};
use super::program_search::{ProgramSearch, SHOWN_MAX_BYTES, has_carriage_returns_in};
use super::shell::lexer::{ARGUMENTS, ITSELF, UNKNOWN_WORD};
use super::shell::parser::{Command, ShellText};
use super::shell::wrappers::{Unwrapped, WORDS_MAX, is_launcher, is_starter, unwrap};
use crate::budget::{self, Work, count_turns};
use crate::image::fingerprint::Fingerprint;
use crate::image::reason::Reason;
use crate::resolver::{Family, Resolver};
use crate::text::one_line;

/// The most programs that may start one another. Real chains have up to four: `tini`, a script, `gosu`, the program.
const STEPS_MAX: usize = 16;
/// The most commands that are followed in all, when scripts start several programs each.
const COMMANDS_MAX: usize = 128;
/// The longest command that is followed, in bytes. Long ones are scripts in a manifest, of some KiB.
const COMMAND_MAX_BYTES: usize = 256 << 10;
/// The longest reason, in bytes. Each program on the way adds a part to it.
const REASON_MAX_BYTES: usize = 1024;
/// The program that resolves names by c-ares in place of its C library's resolver if it has c-ares.
const CURL: &str = "curl";
/// The reason if the work budget does not suffice.
const TOO_MUCH_WORK: &str = "the command needs more work than muslin spends on one object";

/// The pod's settings for starting a container, which override the image's configuration.
#[derive(Clone, Copy)]
pub struct Invocation<'p> {
    /// The pod's `command`, which replaces the image's entrypoint and arguments.
    pub command: Option<&'p [String]>,
    /// The pod's `args`, which replace the image's arguments.
    pub args: Option<&'p [String]>,
    /// The pod's `workingDir`.
    pub working_dir: Option<&'p str>,
    /// Returns the value of an environment variable that the pod sets.
    pub env: &'p dyn Fn(&str) -> Option<&'p str>,
}

/// The search for the program that one command ends in.
struct Resolution<'a, 'p> {
    facts: &'a ImageFacts,
    search: ProgramSearch<'a, 'p>,
    /// The pod's `GODEBUG`.
    godebug: Option<&'p str>,
    commands_left: usize,
    /// The texts of shells that were read.
    texts: HashMap<Rc<str>, Rc<ShellText>>,
    /// The files that the answer follows from, in the order of the search.
    files: Vec<String>,
    /// The scripts that an interpreter reads.
    scripts: Vec<String>,
}

// === impl Invocation ===

impl Default for Invocation<'_> {
    fn default() -> Self {
        Self { command: None, args: None, working_dir: None, env: &|_| None }
    }
}

// === impl ImageFacts ===

impl ImageFacts {
    /// Returns the fingerprint of a container that is started so.
    pub fn fingerprint(&self, invocation: &Invocation<'_>) -> Fingerprint {
        let (answer, files) = self.resolve(invocation);
        let fingerprint = match answer {
            Ok(Process { resolver, reason }) => Fingerprint::inspected(resolver, Reason::Text(reason.into())),
            Err(Unknown { reason }) => Fingerprint::unknown(Reason::Text(reason.into())),
        };
        let beside = self.c_ares_beside(fingerprint.resolver.family, &files);
        Fingerprint { holds_java: self.holds_java(&files), beside, ..fingerprint }
    }

    /// Returns whether the image holds a JVM: one of the followed `files`, or another program that is kept, is called `java`.
    fn holds_java(&self, files: &[String]) -> bool {
        let is_java = |path: &str| split_path(path).1 == "java";
        files.iter().any(|file| is_java(file)) || self.folders.values().any(|folder| folder.contains("java"))
    }

    /// Returns the process of a container that is started so.
    ///
    /// # Errors
    /// [`Unknown`] says why its resolver is unknown.
    pub fn process(&self, invocation: &Invocation<'_>) -> Result<Process, Unknown> {
        self.resolve(invocation).0
    }

    /// Returns the files that the answer follows from, in the order of the search: paths without links to folders.
    pub(crate) fn files(&self, invocation: &Invocation<'_>) -> Vec<String> {
        self.resolve(invocation).1
    }

    fn resolve(&self, invocation: &Invocation<'_>) -> (Answer, Vec<String>) {
        let command = invocation.command.filter(|command| !command.is_empty());
        let args = invocation.args.filter(|args| !args.is_empty());
        let is_own = command.is_none() && args.is_none() && invocation.working_dir.is_none();
        if self.partial && !is_own {
            return (unknown("only the layers that the image's own command needs were read"), Vec::new());
        }
        let length: usize = command.into_iter().chain(args).flatten().map(String::len).sum();
        if length > COMMAND_MAX_BYTES {
            return (unknown("the command is too long to read"), Vec::new());
        }
        // The pod's command leaves out the image's Cmd too (Kubernetes: "Define a command and arguments for a container").
        let (first, rest) = match (command, args) {
            (Some(command), args) => (command, args.unwrap_or_default()),
            (None, Some(args)) => (self.config.entrypoint.as_slice(), args),
            (None, None) => (self.config.entrypoint.as_slice(), self.config.cmd.as_slice()),
        };
        let argv: Vec<Rc<str>> = first.iter().chain(rest).take(WORDS_MAX).map(|word| word.as_str().into()).collect();
        let mut resolution = Resolution {
            facts: self,
            search: ProgramSearch { facts: self, working_dir: invocation.working_dir, path: (invocation.env)("PATH") },
            godebug: (invocation.env)("GODEBUG"),
            commands_left: COMMANDS_MAX,
            texts: HashMap::new(),
            files: Vec::new(),
            scripts: Vec::new(),
        };
        let answer = resolution.resolve_command(&argv, 0);
        // Beyond the budget an answer may rest on what was not examined.
        let answer = budget::charge(Work::Text, 0).map_or_else(|_| unknown(TOO_MUCH_WORK), |()| answer);
        let answer = answer
            .map(|process| Process { reason: bounded(process.reason), ..process })
            .map_err(|Unknown { reason }| Unknown { reason: bounded(reason) });
        (answer, resolution.files)
    }
}

// === impl Resolution ===

impl<'a> Resolution<'a, '_> {
    /// Follows a command to the program that stays.
    fn resolve_command(&mut self, argv: &[Rc<str>], depth: usize) -> Answer {
        let Some(first) = argv.first().filter(|first| !first.is_empty()) else {
            return unknown("neither the image nor the pod says what to run");
        };
        if depth >= STEPS_MAX || self.commands_left == 0 {
            return unknown(format!(
                "too many programs start one another; the last is `{}`",
                one_line(first, SHOWN_MAX_BYTES)
            ));
        }
        self.commands_left -= 1;
        count_turns(1 + argv.len());
        if budget::charge(Work::ShellCommand, 1).is_err() {
            return unknown(TOO_MUCH_WORK);
        }
        if &**first == UNKNOWN_WORD {
            return unknown("only the shell in the container knows which program it starts");
        }
        if first.contains('$') {
            return unknown("the program's name is in a variable, whose value only the container knows");
        }
        let (path, kind) = match self.search.look_up(first)? {
            Found::Program(path, kind) => {
                self.note_file(&path);
                (format!("/{path}"), Some(kind))
            }
            // A layer that was not read may have the program, of any kind.
            Found::Nothing | Found::Perhaps(_) if self.facts.partial => return unknown(self.search.missing(first)),
            Found::Nothing | Found::Perhaps(_) => (first.to_string(), None),
        };
        match kind {
            Some(ProgramKind::Script(script)) => self.resolve_script(&path, script, argv, depth),
            Some(ProgramKind::ShellScript) => self.any_program(&starts_unknown(&path)),
            Some(ProgramKind::Loader(libc)) => self.resolve_via_loader(&path, *libc, argv, depth),
            kind => self.resolve_program(split_path(&path).1, &path, kind, argv, depth),
        }
    }

    /// Follows a program, known by its name, to the program that it starts.
    fn resolve_program(
        &mut self,
        name: &str,
        path: &str,
        kind: Option<&'a ProgramKind>,
        argv: &[Rc<str>],
        depth: usize,
    ) -> Answer {
        if matches!(name, "busybox" | "toybox")
            && let Some(applet) = argv.get(1).filter(|applet| !matches!(&***applet, "busybox" | "toybox"))
        {
            return self.resolve_program(applet, path, kind, &argv[1..], depth);
        }
        if is_launcher(name) {
            return self.any_program(&launches_others(path));
        }
        // A wrapper's arguments name the program, even if the wrapper itself is not in the image.
        match unwrap(name, argv) {
            Unwrapped::Starts(starts) => return self.resolve_command(&starts, depth + 1),
            Unwrapped::Unclear => {
                return unknown(format!(
                    "the arguments of `{}` do not say which program it starts",
                    one_line(path, SHOWN_MAX_BYTES)
                ));
            }
            Unwrapped::NoWrapper => {}
        }
        if is_shell(name)
            && let Some(answer) = self.resolve_shell(argv, depth)
        {
            return answer;
        }
        let Some(kind) = kind else {
            let missing = self.search.missing(path);
            // The image's programs are alike, and it has more in that folder.
            return match self.search.look_up(path) {
                Ok(Found::Perhaps(true)) => self.any_program(&missing),
                _ => unknown(missing),
            };
        };
        if matches!(kind, ProgramKind::LeftOut) {
            return self.any_program(&format!(
                "`{}` is not among the programs that muslin keeps",
                one_line(path, SHOWN_MAX_BYTES)
            ));
        }
        let process = match kind.c_ares() {
            Some(way) if name == CURL => self.curl(path, way),
            _ => self.resolve_kind(&format!("`{path}`"), kind)?,
        };
        self.compare_with_arguments(process, path, argv, depth)
    }

    /// Compares a program with the first one that its arguments name: it may start that one, and is unknown if the two are not alike.
    fn compare_with_arguments(&mut self, process: Process, path: &str, argv: &[Rc<str>], depth: usize) -> Answer {
        let ImageFacts { families, several_releases, partial, .. } = self.facts;
        if families.len() == 1 && !several_releases && !partial {
            return Ok(process);
        }
        let own = path.trim_start_matches('/');
        let is_known = |path: &str| path == own || self.scripts.iter().any(|script| script == path);
        let named = self.search.named_program(argv.get(1..).unwrap_or_default(), &is_known)?;
        let Some(named) = named else { return Ok(process) };
        let other = self.resolve_command(&named, depth + 1);
        other.ok().and_then(|other| process.in_common(&other)).map_or_else(
            || {
                let name = named.first().map(|name| &**name).unwrap_or_default();
                unknown(format!(
                    "`{}` may start `{}`, which its arguments name",
                    one_line(path, SHOWN_MAX_BYTES),
                    one_line(name, SHOWN_MAX_BYTES)
                ))
            },
            Ok,
        )
    }

    /// Follows an executable script to what its interpreter runs.
    fn resolve_script(&mut self, path: &str, script: &Script, argv: &[Rc<str>], depth: usize) -> Answer {
        let Script { interpreter, argument, starts, lacks_exec_bit: _, has_carriage_returns } = script;
        if *has_carriage_returns {
            return unknown(has_carriage_returns_in(path));
        }
        if script.is_shell() {
            return self.resolve_starts(path, starts, argv, depth);
        }
        if is_launcher(split_path(path).1) {
            return self.any_program(&launches_others(path));
        }
        // The kernel passes all that follows the interpreter as one argument.
        let argument = argument.as_deref().map(Rc::from);
        let own = argv.get(1..).unwrap_or_default().iter().cloned();
        let argv = [Rc::from(&**interpreter)].into_iter().chain(argument).chain([Rc::from(path)]).chain(own);
        let argv: Vec<Rc<str>> = argv.take(WORDS_MAX).collect();
        self.scripts.push(path.trim_start_matches('/').to_owned());
        self.resolve_command(&argv, depth + 1)
    }

    /// Follows a shell with arguments; `None` if the shell itself stays.
    fn resolve_shell(&mut self, argv: &[Rc<str>], depth: usize) -> Option<Answer> {
        let mut at = 1;
        while let Some(word) = argv.get(at).filter(|word| word.starts_with(['-', '+'])) {
            at += 1;
            if !word.starts_with("--") && word.contains('c') {
                // More options may stand before the text.
                while argv.get(at).is_some_and(|word| word.starts_with(['-', '+'])) {
                    at += 1;
                }
                let text = argv.get(at)?;
                return Some(self.resolve_shell_text(text, argv.get(at + 1..).unwrap_or_default(), depth));
            }
            if matches!(&**word, "-o" | "+o" | "--rcfile" | "--init-file" | "-O" | "+O") {
                at += 1;
            }
            // The text comes from a file or from standard input.
            if &**word == "--" || (!word.starts_with("--") && word.contains('s')) {
                break;
            }
        }
        let path = argv.get(at)?;
        Some(match self.facts.program_at(&self.search.absolute(path)) {
            Found::Program(path, ProgramKind::Script(script)) => {
                self.note_file(&path);
                if script.has_carriage_returns {
                    return Some(unknown(has_carriage_returns_in(&format!("/{path}"))));
                }
                self.resolve_starts(&format!("/{path}"), &script.starts, &argv[at..], depth)
            }
            _ => self.any_program(&starts_unknown(path)),
        })
    }

    /// Follows the text of `sh -c`, and the words after it: `$0`, `$1` and so on.
    fn resolve_shell_text(&mut self, text: &Rc<str>, rest: &[Rc<str>], depth: usize) -> Answer {
        let (own, arguments) = rest.split_first().map_or((None, rest), |(own, arguments)| (Some(own), arguments));
        let known = self.texts.get(text).map(Rc::clone);
        let text = known.unwrap_or_else(|| {
            let parsed = Rc::new(ShellText::parse(text));
            self.texts.insert(Rc::clone(text), Rc::clone(&parsed));
            parsed
        });
        if text.is_too_long {
            return unknown("the shell's text is too long to read");
        }
        let argv = |command: &Command| {
            let mut words = substitute_arguments(&command.words, arguments);
            if let (Some(own), Some(first)) = (own, words.first_mut().filter(|first| &***first == ITSELF)) {
                first.clone_from(own);
            }
            words
        };
        let replacements = text.replacements();
        let commands = if replacements.is_empty() { text.programs() } else { replacements };
        match commands.as_slice() {
            [] => unknown("the shell's text has no command that muslin can read"),
            [only] => self.resolve_command(&argv(only), depth + 1),
            commands => {
                let answers = commands.iter().map(|command| self.resolve_command(&argv(command), depth + 1));
                common_answer(answers).map_or_else(|| self.any_program("the shell starts several programs"), Ok)
            }
        }
    }

    /// Follows a shell script that one of the commands `starts` replaces.
    fn resolve_starts(&mut self, path: &str, starts: &[Vec<Box<str>>], argv: &[Rc<str>], depth: usize) -> Answer {
        let commands = started_commands(path, starts, argv.get(1..).unwrap_or_default());
        let shown = one_line(path, SHOWN_MAX_BYTES);
        let path = &*shown;
        if commands.is_empty() {
            return self.any_program(&format!("the script `{path}` does not end with `exec` and a program"));
        }
        match common_answer(commands.iter().map(|words| self.resolve_command(words, depth + 1))) {
            Some(Process { resolver, reason }) => {
                known(resolver, format!("{reason}; the script `{path}` starts it with `exec`"))
            }
            None => self.any_program(&format!("the program that the script `{path}` starts with `exec` is unknown")),
        }
    }

    /// Follows a loader to the program in its arguments.
    fn resolve_via_loader(&mut self, path: &str, libc: Libc, argv: &[Rc<str>], depth: usize) -> Answer {
        // The options of glibc's loader (elf/rtld.c) and of musl's (ldso/dynlink.c) whose value is the next word.
        const VALUED: [&str; 6] =
            ["--library-path", "--preload", "--argv0", "--audit", "--inhibit-rpath", "--glibc-hwcaps-prepend"];
        let mut at = 1;
        while let Some(option) = argv.get(at).filter(|word| word.starts_with("--")) {
            at += if VALUED.contains(&&**option) { 2 } else { 1 };
        }
        let Some(program) = argv.get(at) else {
            let path = one_line(path, SHOWN_MAX_BYTES);
            return unknown(format!("`{path}` is a loader, and its arguments name no program"));
        };
        // A loader does not use the search path.
        let Found::Program(found, kind) = self.facts.program_at(&self.search.absolute(program)) else {
            return unknown(self.search.missing(program));
        };
        self.note_file(&found);
        let libc = self.facts.libc_of_loader(path).map_or(libc, |(libc, _)| libc);
        let (name, found) = (split_path(program).1, format!("/{found}"));
        match kind {
            ProgramKind::Dynamic { go: None, .. } if is_starter(name) || is_shell(name) => {
                self.resolve_program(name, &found, Some(kind), &argv[at..], depth)
            }
            ProgramKind::Dynamic { go: None, .. } => {
                known(libc.resolver(), format!("`{found}` is started by `{path}`, which is {libc}"))
            }
            ProgramKind::Dynamic { go: Some(build), getaddrinfo, .. } => {
                self.program(&format!("`{found}`")).go(build, Some(libc), *getaddrinfo)
            }
            other => self.resolve_kind(&format!("`{found}`"), other),
        }
    }

    /// Returns the resolver of all programs in the image, if they are of one kind: the process may be any of them.
    fn any_program(&mut self, why: &str) -> Answer {
        let ImageFacts { program_kinds, common_kind, families, several_releases, partial, .. } = self.facts;
        if !partial
            && families.len() == 1
            && let Some(kind) = common_kind.and_then(|index| program_kinds.get(index))
        {
            let Process { resolver, reason } = self.resolve_kind("each", kind)?;
            if *several_releases {
                let family = resolver.family;
                let reason =
                    format!("{why}, but all programs in the image have {}, in several releases", family.name());
                return known(family.unversioned(), reason);
            }
            return known(resolver, format!("{why}, but all programs in the image are of one kind: {reason}"));
        }
        match families.as_slice() {
            _ if *partial => unknown(why),
            [] => unknown(format!("{why}, and the image has no program")),
            families => unknown(format!("{why}, and the image has programs of several kinds: {}", families.join(", "))),
        }
    }

    /// Returns the process of a curl that has c-ares, which then resolves all names by it (curl `lib/asyn-ares.c`).
    fn curl(&self, path: &str, way: CAres) -> Process {
        let release = self.facts.c_ares.as_ref().and_then(|found| found.release);
        let version = if way == CAres::Contained { None } else { release };
        let resolver = Resolver { version, ..Family::CAres.unversioned() };
        let path = one_line(path, SHOWN_MAX_BYTES);
        Process { resolver, reason: format!("`{path}` {}, by which curl then resolves all names", way.predicate()) }
    }

    /// Returns the resolver of a program of this kind, which the reason calls `subject`.
    fn resolve_kind(&mut self, subject: &str, kind: &ProgramKind) -> Answer {
        if let ProgramKind::Dynamic { loader, .. } = kind {
            self.note_file(loader);
        }
        self.program(subject).resolver(kind)
    }

    fn program<'s>(&'s self, subject: &'s str) -> Program<'s> {
        Program { facts: self.facts, subject, godebug: self.godebug }
    }

    fn note_file(&mut self, path: &str) {
        let path = path.trim_start_matches('/');
        if !self.files.iter().any(|known| known == path) {
            self.files.push(path.to_owned());
        }
    }
}

/// Returns the commands that may replace a shell script, with the script's own arguments in place.
fn started_commands(path: &str, starts: &[Vec<Box<str>>], arguments: &[Rc<str>]) -> Vec<Vec<Rc<str>>> {
    let mut commands: Vec<Vec<Rc<str>>> = Vec::new();
    for start in starts {
        let words: Vec<Rc<str>> = start.iter().map(|word| (&**word).into()).collect();
        // `exec gosu app "$0" "$@"` starts the same script again, as another user.
        let is_itself = |word: &Rc<str>| &**word == ITSELF || &**word == path;
        let starts_other = |word: &str| is_starter(split_path(word).1) || is_shell(split_path(word).1);
        let is_again = match words.split_first() {
            Some((first, rest)) => is_itself(first) || (starts_other(first) && rest.iter().any(is_itself)),
            None => true,
        };
        let words = substitute_arguments(&words, arguments);
        if !is_again && !words.is_empty() {
            commands.push(words);
        }
    }
    // `if [ "${1#-}" != "$1" ]; then set -- app "$@"; fi; exec "$@"`: no program's name begins with a dash.
    let is_option = |words: &[Rc<str>]| words.first().is_some_and(|word| word.starts_with('-'));
    if commands.iter().any(|words| !is_option(words)) {
        commands.retain(|words| !is_option(words));
    }
    commands
}

/// Replaces `$@` by arguments.
fn substitute_arguments(words: &[Rc<str>], arguments: &[Rc<str>]) -> Vec<Rc<str>> {
    let all = words.iter().flat_map(|word| if **word == *ARGUMENTS { arguments } else { std::slice::from_ref(word) });
    all.take(WORDS_MAX).cloned().collect()
}

/// Returns a reason of bounded length.
fn bounded(reason: String) -> String {
    if reason.len() > REASON_MAX_BYTES { one_line(&reason, REASON_MAX_BYTES).into_owned() } else { reason }
}

fn launches_others(path: &str) -> String {
    format!("`{}` starts other programs, and its arguments do not say which", one_line(path, SHOWN_MAX_BYTES))
}

fn starts_unknown(script: &str) -> String {
    format!("the programs that the script `{}` starts are unknown", one_line(script, SHOWN_MAX_BYTES))
}

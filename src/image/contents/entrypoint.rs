//! Which resolver the process of a container uses: follows its command, by the image's or the pod's words, through links, scripts
//! and programs that only start another, to the program that stays, and asks what that is. What cannot be told is unknown, with
//! the reason; the answer is never more certain than the files are. Must not know how the facts were come by.

use std::fmt::Write as _;

use super::facts::{DEFAULT_PATH, FOLDERS_MAX, ImageFacts, Kind, Loader, Source};
use super::files::go_build::GoBuild;
use super::files::libc::{Libc, LibcKind};
use super::files::script::{Script, is_shell};
use super::layers::layer::{normalise, split};
use super::shell::lexer::{ARGUMENTS, ITSELF, UNTOLD};
use super::shell::parser::{self, Command, Text};
use super::shell::wrappers::{self, Unwrapped, is_launcher, is_starter};
use crate::image::fingerprint::{Evidence, Fingerprint};
use crate::image::reason::Reason;
use crate::resolver::go::{Netdns, netdns as netdns_of};
use crate::resolver::{Cgo, Family, Resolver};

/// How many programs may start one another. Real chains have up to four: `tini`, a script, `gosu`, the program.
const STEPS_MAX: usize = 16;
/// How much is looked at in all, when scripts start several programs each.
const BUDGET: usize = 128;
/// How many links to folders one path may lead through.
const LINKS_MAX: usize = 40;
/// The longest command that is looked at, in bytes. Long ones are scripts in a manifest, of some KiB.
const COMMAND_MAX: usize = 256 << 10;
/// How many words a shell's `"$@"` may become; only what is run matters.
const WORDS_MAX: usize = 1024;

/// How a container is started, where its pod says other than its image.
#[derive(Clone, Copy)]
pub struct Invocation<'p> {
    /// The pod's `command`, in place of the image's entrypoint and arguments.
    pub command: Option<&'p [String]>,
    /// The pod's `args`, in place of the image's arguments.
    pub args: Option<&'p [String]>,
    /// The pod's `workingDir`.
    pub working_dir: Option<&'p str>,
    /// The value of an environment variable that the pod sets.
    pub env: &'p dyn Fn(&str) -> Option<&'p str>,
}

/// The process of a container, as far as it resolves names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Whose resolver it uses; for a Go program with cgo, also to which C library it may leave a lookup.
    pub resolver: Resolver,
    /// How this is known, as the end of a sentence.
    pub reason: String,
}

/// The reason why the resolver of a process is unknown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Unknown {
    reason: String,
}

type Verdict = Result<Process, Unknown>;

/// What a command's first word leads to.
#[derive(Clone)]
enum Program<'a> {
    Known(String, &'a Kind),
    /// Not named, and like most programs of the image.
    Ordinary(String, &'a Kind),
    Missing,
}

/// One question about an image.
struct Question<'a, 'p> {
    facts: &'a ImageFacts,
    invocation: Invocation<'p>,
    budget: usize,
    /// The files from which the answer follows, in the order in which they were met.
    files: Vec<String>,
}

// === impl Invocation ===

impl Default for Invocation<'_> {
    fn default() -> Self {
        Self { command: None, args: None, working_dir: None, env: &|_| None }
    }
}

// === impl ImageFacts ===

impl ImageFacts {
    /// The fingerprint of a container that is started so.
    pub fn fingerprint(&self, invocation: &Invocation<'_>) -> Fingerprint {
        match self.process(invocation) {
            Ok(Process { resolver, reason }) => {
                Fingerprint { resolver, evidence: Evidence::Inspected, reason: Reason::Text(reason.into()) }
            }
            Err(Unknown { reason }) => Fingerprint::unknown(Reason::Text(reason.into())),
        }
    }

    /// The process of a container that is started so.
    ///
    /// # Errors
    /// Why it cannot be told.
    pub fn process(&self, invocation: &Invocation<'_>) -> Result<Process, Unknown> {
        self.ask(invocation).0
    }

    /// The files from which it is told, or why it cannot be: paths without links to folders, in the order in which they are met.
    pub fn files(&self, invocation: &Invocation<'_>) -> Vec<String> {
        self.ask(invocation).1
    }

    fn ask(&self, invocation: &Invocation<'_>) -> (Result<Process, Unknown>, Vec<String>) {
        let command = invocation.command.filter(|command| !command.is_empty());
        let args = invocation.args.filter(|args| !args.is_empty());
        let is_own = command.is_none() && args.is_none() && invocation.working_dir.is_none();
        if self.partial && !is_own {
            return (untold("only as much of the image was read as its own command needs"), Vec::new());
        }
        let length: usize = command.into_iter().chain(args).flatten().map(String::len).sum();
        if length > COMMAND_MAX {
            return (untold("the command is too long to be read"), Vec::new());
        }
        // The pod's command leaves out the image's Cmd too (Kubernetes: "Define a command and arguments for a container").
        let argv: Vec<String> = match (command, args) {
            (Some(command), args) => [command, args.unwrap_or_default()].concat(),
            (None, Some(args)) => [self.config.entrypoint.as_slice(), args].concat(),
            (None, None) => [self.config.entrypoint.as_slice(), self.config.cmd.as_slice()].concat(),
        };
        let mut question = Question { facts: self, invocation: *invocation, budget: BUDGET, files: Vec::new() };
        let verdict = question.follow(&argv, 0);
        (verdict, question.files)
    }

    /// What is known of the loader at `path`.
    fn loader(&self, path: &str) -> Option<(Libc, Option<Source>)> {
        let Loader { libc, source } = self.loaders.get(path)?;
        libc.map(|libc| (libc, *source))
    }

    /// The path with its links to folders followed.
    fn real(&self, path: &str) -> String {
        let mut path = normalise(path);
        for _ in 0..LINKS_MAX {
            let link = self.links.iter().find_map(|(link, target)| {
                path.strip_prefix(&**link).filter(|rest| rest.starts_with('/')).map(|rest| format!("{target}{rest}"))
            });
            match link {
                Some(next) => path = next.trim_start_matches('/').to_owned(),
                None => break,
            }
        }
        path
    }
}

// === impl Question ===

impl<'a> Question<'a, '_> {
    fn follow(&mut self, argv: &[String], depth: usize) -> Verdict {
        let Some(first) = argv.first().filter(|first| !first.is_empty()) else {
            return untold("neither the image nor the pod says what to run");
        };
        if depth >= STEPS_MAX || self.budget == 0 {
            return untold(format!("too many programs start one another, the last of them `{}`", shown(first)));
        }
        self.budget -= 1;
        if first == UNTOLD {
            return untold("which program is started only the shell in the container can tell");
        }
        if first.contains('$') {
            return untold("the name of the program is in a variable, of which only the container knows the value");
        }
        let (path, kind) = match self.look_up(first)? {
            Program::Known(path, kind) | Program::Ordinary(path, kind) => {
                self.saw(&path);
                (format!("/{path}"), Some(kind))
            }
            // A layer that was not read may have it, and as anything.
            Program::Missing if self.facts.partial => return untold(self.missing(first)),
            Program::Missing => (first.clone(), None),
        };
        match kind {
            Some(Kind::Script(script)) => self.script(&path, script, argv, depth),
            Some(Kind::Loader(libc)) => self.loaded(&path, *libc, argv, depth),
            kind => self.started_by(split(&path).1, &path, kind, argv, depth),
        }
    }

    /// What a program, by its name, makes of its arguments.
    fn started_by(&mut self, name: &str, path: &str, kind: Option<&'a Kind>, argv: &[String], depth: usize) -> Verdict {
        if matches!(name, "busybox" | "toybox")
            && let Some(applet) = argv.get(1).filter(|applet| !matches!(applet.as_str(), "busybox" | "toybox"))
        {
            return self.started_by(applet, path, kind, &argv[1..], depth);
        }
        if is_launcher(name) {
            return self.anything(&format!("`{}` starts others, and which is not told by its arguments", shown(path)));
        }
        // What only starts another need not be there to say what that is.
        match wrappers::unwrap(name, argv) {
            Unwrapped::Starts(starts) => return self.follow(&starts, depth + 1),
            Unwrapped::Untold => {
                return untold(format!("which program `{}` starts is not told by its arguments", shown(path)));
            }
            Unwrapped::NoWrapper => {}
        }
        if is_shell(name)
            && let Some(verdict) = self.shell(argv, depth)
        {
            return verdict;
        }
        match kind {
            Some(kind) => self.kind(path, kind),
            None => untold(self.missing(path)),
        }
    }

    fn saw(&mut self, path: &str) {
        let path = path.trim_start_matches('/');
        if !self.files.iter().any(|seen| seen == path) {
            self.files.push(path.to_owned());
        }
    }

    fn missing(&self, program: &str) -> String {
        let ImageFacts { partial, truncated, .. } = self.facts;
        let program = shown(program);
        if *partial || *truncated {
            format!("what `{program}` is was not kept of the image")
        } else {
            format!("the image holds no program `{program}` that can be read; a volume may bring it")
        }
    }

    /// A path from the root, of one that may begin in the working directory.
    fn absolute(&self, path: &str) -> String {
        if path.starts_with('/') {
            return path.to_owned();
        }
        let folder = self.invocation.working_dir.filter(|folder| !folder.is_empty());
        format!("{}/{path}", folder.unwrap_or(&self.facts.config.working_dir))
    }

    /// Finds a program as the container runtime does: by its path, or along the search path.
    fn look_up(&self, program: &str) -> Result<Program<'a>, Unknown> {
        let facts = self.facts;
        if program.contains('/') {
            return Ok(self.at(&facts.real(&self.absolute(program))));
        }
        let path = (self.invocation.env)("PATH")
            .or_else(|| facts.config.env.get("PATH").map(String::as_str))
            .unwrap_or(DEFAULT_PATH);
        if path.contains('$') {
            return untold("the search path is in a variable, of which only the container knows the value");
        }
        // An empty part of the search path, and one that does not begin at the root, is in the working directory.
        let place = |folder: &str| self.at(&facts.real(&self.absolute(&format!("{folder}/{program}"))));
        let mut places = path.split(':').take(FOLDERS_MAX).map(|folder| match folder {
            "" => self.at(&facts.real(&self.absolute(program))),
            folder => place(folder),
        });
        let first = places.next().unwrap_or(Program::Missing);
        // Of a partial image a folder earlier on the search path may not have been read.
        if facts.partial || !matches!(first, Program::Missing) {
            return Ok(first);
        }
        Ok(places.find(|found| !matches!(found, Program::Missing)).unwrap_or(Program::Missing))
    }

    fn at(&self, path: &str) -> Program<'a> {
        let ImageFacts { kinds, ordinary, folders, programs, aliases, names, partial, truncated, .. } = self.facts;
        let path = aliases.get(path).map_or(path, |real| real);
        if let Some((path, kind)) = programs.get_key_value(path).and_then(|(path, at)| Some((path, kinds.get(*at)?))) {
            return Program::Known(path.to_string(), kind);
        }
        let ordinary = ordinary.and_then(|at| kinds.get(at)).filter(|_| !partial && !truncated);
        match ordinary.filter(|_| folders.contains(split(path).0) && names.contains(path)) {
            Some(kind) => Program::Ordinary(path.to_owned(), kind),
            None => Program::Missing,
        }
    }

    fn script(&mut self, path: &str, script: &Script, argv: &[String], depth: usize) -> Verdict {
        let Script { interpreter, argument, starts } = script;
        if script.is_shell() {
            return self.started(path, starts, argv, depth);
        }
        // The kernel gives the interpreter all that follows it as one argument.
        let argument = argument.as_deref().map(str::to_owned);
        let read_by: Vec<String> =
            [interpreter.to_string()].into_iter().chain(argument).chain([path.to_owned()]).collect();
        if is_launcher(split(path).1) {
            return self.anything(&format!("`{path}` starts others, and which is not told by its arguments"));
        }
        self.follow(&read_by, depth + 1)
    }

    /// A shell with arguments; `None` if it is the process itself.
    fn shell(&mut self, argv: &[String], depth: usize) -> Option<Verdict> {
        let mut at = 1;
        while let Some(word) = argv.get(at).filter(|word| word.starts_with(['-', '+'])) {
            at += 1;
            if !word.starts_with("--") && word.contains('c') {
                // Options may stand between it and the text.
                while argv.get(at).is_some_and(|word| word.starts_with(['-', '+'])) {
                    at += 1;
                }
                let text = argv.get(at)?;
                return Some(self.text(text, argv.get(at + 1..).unwrap_or_default(), depth));
            }
            if matches!(word.as_str(), "-o" | "+o" | "--rcfile" | "--init-file" | "-O" | "+O") {
                at += 1;
            }
            // The text comes from elsewhere.
            if word == "--" || (!word.starts_with("--") && word.contains('s')) {
                break;
            }
        }
        let path = argv.get(at)?;
        Some(match self.at(&self.facts.real(&self.absolute(path))) {
            Program::Known(path, Kind::Script(script)) => {
                self.saw(&path);
                self.started(&format!("/{path}"), &script.starts, &argv[at..], depth)
            }
            _ => self.anything(&format!("what the script `{}` starts is not known", shown(path))),
        })
    }

    /// The text of `sh -c`, and what follows it: `$0`, `$1` and so on.
    fn text(&mut self, text: &str, rest: &[String], depth: usize) -> Verdict {
        if text.len() > parser::TEXT_MAX {
            return untold("what the shell is given is too long to be read");
        }
        let (own, arguments) = rest.split_first().map_or((None, rest), |(own, arguments)| (Some(own), arguments));
        let text = Text::read(text);
        let argv = |command: &Command| {
            let mut words = substitute(&command.words, arguments);
            if let (Some(own), Some(first)) = (own, words.first_mut().filter(|first| *first == ITSELF)) {
                first.clone_from(own);
            }
            words
        };
        if let Some(command) = text.replacement() {
            return self.follow(&argv(command), depth + 1);
        }
        match text.commands.as_slice() {
            [] => untold("the shell is given no command that can be read"),
            [only] => self.follow(&argv(only), depth + 1),
            commands => {
                let verdicts: Vec<Verdict> =
                    commands.iter().map(|command| self.follow(&argv(command), depth + 1)).collect();
                agreed(verdicts).unwrap_or_else(|| self.anything("the shell starts several programs"))
            }
        }
    }

    /// A script that is replaced by one of `starts`.
    fn started(&mut self, path: &str, starts: &[Vec<Box<str>>], argv: &[String], depth: usize) -> Verdict {
        let arguments = argv.get(1..).unwrap_or_default();
        let mut commands: Vec<Vec<String>> = Vec::new();
        for start in starts {
            let words: Vec<String> = start.iter().map(|word| word.to_string()).collect();
            // `exec gosu app "$0" "$@"` comes back to the same script as another user.
            let is_itself = |word: &String| word == ITSELF || word == path;
            let starts_other = |word: &String| is_starter(split(word).1) || is_shell(split(word).1);
            let comes_back = match words.split_first() {
                Some((first, rest)) => is_itself(first) || (starts_other(first) && rest.iter().any(is_itself)),
                None => true,
            };
            let words = substitute(&words, arguments);
            if !comes_back && !words.is_empty() {
                commands.push(words);
            }
        }
        // `if [ "${1#-}" != "$1" ]; then set -- app "$@"; fi; exec "$@"`: no program's name begins with a dash.
        if commands.iter().any(|words| !is_option(words)) {
            commands.retain(|words| !is_option(words));
        }
        let verdicts: Vec<Verdict> = commands.iter().map(|words| self.follow(words, depth + 1)).collect();
        if verdicts.is_empty() {
            return self.anything(&format!("the script `{path}` does not say by `exec` what takes its place"));
        }
        match agreed(verdicts) {
            Some(Ok(process)) => {
                let reason = format!("the script `{path}` gives way to another program: {}", process.reason);
                Ok(Process { reason, ..process })
            }
            _ => self.anything(&format!("what takes the place of the script `{path}` is not told")),
        }
    }

    /// Any program of the image may be started: that tells something only if they are all alike.
    fn anything(&mut self, why: &str) -> Verdict {
        let ImageFacts { kinds, ordinary, families, partial, .. } = self.facts;
        if !partial
            && families.len() == 1
            && let Some(kind) = ordinary.and_then(|at| kinds.get(at))
        {
            return self.kind("", kind).map(|process| Process {
                reason: format!("{why}, but all programs of the image are alike: {}", process.reason),
                ..process
            });
        }
        let families: Vec<&str> = families.iter().map(|family| &**family).collect();
        match families.as_slice() {
            _ if *partial => untold(why),
            [] => untold(format!("{why}, and the image holds no program")),
            families => {
                untold(format!("{why}, and the image holds programs of several kinds: {}", families.join(", ")))
            }
        }
    }

    /// A loader with the program that it loads.
    fn loaded(&mut self, path: &str, libc: Libc, argv: &[String], depth: usize) -> Verdict {
        // glibc's (elf/rtld.c) and musl's (ldso/dynlink.c).
        const VALUED: [&str; 6] =
            ["--library-path", "--preload", "--argv0", "--audit", "--inhibit-rpath", "--glibc-hwcaps-prepend"];
        let mut at = 1;
        while let Some(option) = argv.get(at).filter(|word| word.starts_with("--")) {
            at += if VALUED.contains(&option.as_str()) { 2 } else { 1 };
        }
        let Some(program) = argv.get(at) else {
            return untold(format!("`{path}` is a loader, and it is given no program"));
        };
        // It searches no path.
        let found = self.at(&self.facts.real(&self.absolute(program)));
        let (Program::Known(found, kind) | Program::Ordinary(found, kind)) = found else {
            return untold(self.missing(program));
        };
        self.saw(&found);
        let libc = self.facts.loaders.get(path).and_then(|loader| loader.libc).unwrap_or(libc);
        match kind {
            Kind::Dynamic { go: None, .. } if is_starter(split(program).1) || is_shell(split(program).1) => {
                self.started_by(split(program).1, &format!("/{found}"), Some(kind), &argv[at..], depth)
            }
            Kind::Dynamic { go: None, .. } => {
                told(libc.resolver(), format!("`/{found}` is started by `{path}`, which is {libc}"))
            }
            Kind::Dynamic { go: Some(build), getaddrinfo, .. } => {
                self.go(&format!("`/{found}`"), build, Some(libc), *getaddrinfo)
            }
            other => self.kind(&format!("/{found}"), other),
        }
    }

    fn kind(&mut self, path: &str, kind: &Kind) -> Verdict {
        if let Kind::Dynamic { loader, .. } = kind {
            self.saw(loader);
        }
        let path = if path.is_empty() { "each".to_owned() } else { format!("`{path}`") };
        match kind {
            Kind::Dynamic { loader, go, getaddrinfo } => {
                let libc = self.facts.loader(loader);
                match (go, libc) {
                    // What the loader is, or its release, may be told by a layer that was not read; not where it says so itself,
                    // which outranks all that is below.
                    (go, libc)
                        if self.facts.partial
                            && libc.is_none_or(|(libc, _)| libc.version.is_none())
                            && go.as_ref().and_then(GoBuild::is_pure) != Some(true) =>
                    {
                        untold("not all of the image was read")
                    }
                    (Some(build), libc) => self.go(&path, build, libc.map(|(libc, _)| libc), *getaddrinfo),
                    (None, Some((libc, source))) => told(
                        libc.resolver(),
                        format!("{path} is loaded by `{loader}`, which is {libc}{}", from(source)),
                    ),
                    (None, None) => untold(match LibcKind::of_loader_name(loader) {
                        Some(kind) => format!(
                            "{path} asks for the loader `{loader}`, which by its name is {}; what the image has there \
                             is none that is known",
                            kind.family().name()
                        ),
                        None => format!("{path} asks for the loader `{loader}`, which is no known C library"),
                    }),
                }
            }
            Kind::Static { libc, go: Some(build) } => self.go(&path, build, *libc, libc.is_some()),
            Kind::Static { libc: Some(libc), go: None } => {
                told(libc.resolver(), format!("{path} is static, and {libc} is part of it"))
            }
            Kind::Static { libc: None, go: None } => {
                told(Family::Static.unversioned(), format!("{path} is static, and holds no C library that is known"))
            }
            Kind::Loader(libc) => told(libc.resolver(), format!("{path} is {libc} itself")),
            Kind::Unreadable(reason) => untold(format!("{path} cannot be read: {reason}")),
            Kind::Script(_) => untold(format!("{path} is a script")),
        }
    }

    /// A Go program. With cgo, Go's resolver comes first on Linux, and the C library's where a setting says so or Go's cannot do
    /// what resolv.conf or nsswitch.conf ask for (go1.26.8 `src/net/conf.go`).
    fn go(&self, path: &str, build: &GoBuild, libc: Option<Libc>, getaddrinfo: bool) -> Verdict {
        let GoBuild { version, cgo, netgo, netcgo, netdns } = build;
        let go = Resolver { family: Family::Go, version: *version, cgo: Cgo::Unknown };
        let built = if version.is_some() { go.to_string() } else { "Go".to_owned() };
        let pure = go.with_cgo(Cgo::Absent);
        if build.is_pure() == Some(true) {
            let how = if *netgo { "with the tag netgo" } else { "without cgo" };
            return told(pure, format!("{path} was built by {built} {how}"));
        }
        let Some(libc) = libc else {
            return match cgo {
                // A program that asks for no loader and holds no C library has none to ask.
                _ if !getaddrinfo => told(pure, format!("{path} was built by {built}, and has no C library to ask")),
                _ => untold(format!("{path} was built by {built} with cgo, and its C library is not known")),
            };
        };
        if !getaddrinfo {
            return told(pure, format!("{path} was built by {built}, and does not ask {libc} for addresses"));
        }
        let pod = (self.invocation.env)("GODEBUG").or_else(|| self.facts.config.env.get("GODEBUG").map(String::as_str));
        let of_program = || netdns.as_deref().and_then(|value| netdns_of(&format!("netdns={value}")));
        match pod.and_then(netdns_of).or_else(of_program) {
            Some(Netdns::Cgo) => {
                told(libc.resolver(), format!("{path} was built by {built} with cgo, and netdns=cgo is set"))
            }
            Some(Netdns::Go) => told(pure, format!("{path} was built by {built} with cgo, and netdns=go is set")),
            None if *netcgo => told(libc.resolver(), format!("{path} was built by {built} with the tag netcgo")),
            None => told(
                go.with_cgo(Cgo::Linked { libc: libc.kind.family(), version: libc.version }),
                format!("{path} was built by {built} with cgo, and leaves to {libc} what its own resolver cannot do"),
            ),
        }
    }
}

fn told(resolver: Resolver, reason: String) -> Verdict {
    Ok(Process { resolver, reason })
}

fn untold<T>(reason: impl Into<String>) -> Result<T, Unknown> {
    Err(Unknown { reason: reason.into() })
}

/// The verdict on which all agree.
fn agreed(verdicts: Vec<Verdict>) -> Option<Verdict> {
    let mut verdicts = verdicts.into_iter();
    let first = verdicts.next()?.ok()?;
    for other in verdicts {
        let other = other.ok()?;
        if other.resolver != first.resolver {
            return None;
        }
    }
    Some(Ok(first))
}

/// Puts arguments in the place of `$@`.
fn substitute(words: &[String], arguments: &[String]) -> Vec<String> {
    let put = |word: &String| if word == ARGUMENTS { arguments } else { std::slice::from_ref(word) }.to_vec();
    words.iter().flat_map(put).take(WORDS_MAX).collect()
}

fn is_option(words: &[String]) -> bool {
    words.first().is_some_and(|word| word.starts_with('-'))
}

/// A word that somebody else chose, short enough for a sentence.
fn shown(word: &str) -> std::borrow::Cow<'_, str> {
    const MAX: usize = 120;
    match word.char_indices().nth(MAX) {
        Some((end, _)) => format!("{}…", &word[..end]).into(),
        None => word.into(),
    }
}

fn from(source: Option<Source>) -> String {
    let mut text = String::new();
    let _ = match source {
        None => Ok(()),
        Some(Source::Library) => write!(text, " as it says itself"),
        Some(Source::Apk) => write!(text, " by apk's database"),
        Some(Source::FileName) => write!(text, " by the name of its file"),
        Some(Source::OsRelease) => write!(text, " by os-release"),
        Some(Source::AlpineRelease) => write!(text, " by alpine-release"),
    };
    text
}

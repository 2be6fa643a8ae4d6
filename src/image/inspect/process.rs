//! Which resolver the process of a container uses: follows its command, by the image's or the pod's words, through links, scripts
//! and programs that only start another, to the program that stays, and asks what that is. What cannot be told is unknown, with
//! the reason; the answer is never more certain than the files are. Must not know how the facts were come by.

use std::fmt::Write as _;

use super::facts::{DEFAULT_PATH, ImageFacts, Kind, Loader, Source};
use super::go::GoBuild;
use super::layer::{normalise, split};
use super::libc::{Libc, LibcKind};
use super::script::{Script, is_shell};
use super::shell::{self, ARGUMENTS, ITSELF};
use super::wrappers::{self, Unwrapped};
use crate::image::{Because, Evidence, Fingerprint};
use crate::resolver::go::{Netdns, netdns as netdns_of};
use crate::resolver::{Cgo, Family, Resolver};

/// How many programs may start one another. Real chains have up to four: `tini`, a script, `gosu`, the program.
const STEPS_MAX: usize = 16;
/// How much is looked at in all, when scripts start several programs each.
const BUDGET: usize = 128;
/// How many links to folders one path may lead through.
const LINKS_MAX: usize = 40;

/// The process of a container, as far as it resolves names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Whose resolver it uses; for a Go program with cgo, also to which C library it may leave a lookup.
    pub resolver: Resolver,
    /// How this is known, as the end of a sentence.
    pub because: String,
}

/// Why it cannot be told.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Untold {
    reason: String,
}

type Verdict = Result<Process, Untold>;

/// What a command's first word leads to.
enum Program<'a> {
    Known(String, &'a Kind),
    /// Not named, in a folder of ordinary programs.
    Ordinary(&'a Kind),
    Missing,
}

/// One question about an image.
struct Question<'a, 'e> {
    facts: &'a ImageFacts,
    env: &'e dyn Fn(&str) -> Option<&'e str>,
    budget: usize,
}

// === impl ImageFacts ===

impl ImageFacts {
    /// The fingerprint of a container: `command`, `args` and `env` are the pod's, which outrank the image's own. `env` gives the
    /// value of a variable that the pod sets.
    pub fn fingerprint<'e>(
        &self,
        command: Option<&[String]>,
        args: Option<&[String]>,
        env: &'e dyn Fn(&str) -> Option<&'e str>,
    ) -> Fingerprint {
        match self.process(command, args, env) {
            Ok(Process { resolver, because }) => {
                Fingerprint { resolver, evidence: Evidence::Inspected, because: Because::Told(because.into()) }
            }
            Err(reason) => Fingerprint::unknown(Because::Told(reason.into())),
        }
    }

    /// The process of a container, as [`Self::fingerprint`] is asked.
    ///
    /// # Errors
    /// Why it cannot be told.
    pub fn process<'e>(
        &self,
        command: Option<&[String]>,
        args: Option<&[String]>,
        env: &'e dyn Fn(&str) -> Option<&'e str>,
    ) -> Result<Process, String> {
        let command = command.filter(|command| !command.is_empty());
        let args = args.filter(|args| !args.is_empty());
        if self.partial && (command.is_some() || args.is_some()) {
            return Err("only as much of the image was read as its own command needs".to_owned());
        }
        // The pod's command leaves out the image's Cmd too (Kubernetes: "Define a command and arguments for a container").
        let argv: Vec<String> = match (command, args) {
            (Some(command), args) => [command, args.unwrap_or_default()].concat(),
            (None, Some(args)) => [self.config.entrypoint.as_slice(), args].concat(),
            (None, None) => [self.config.entrypoint.as_slice(), self.config.cmd.as_slice()].concat(),
        };
        let mut question = Question { facts: self, env, budget: BUDGET };
        question.follow(&argv, 0).map_err(|Untold { reason }| reason)
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
            return untold(format!("too many programs start one another, the last of them `{first}`"));
        }
        self.budget -= 1;
        if first.contains('$') {
            return untold("the name of the program is in a variable, of which only the container knows the value");
        }
        let program = self.look_up(first)?;
        let name = split(first).1;
        let (path, kind) = match &program {
            Program::Known(path, Kind::Script(script)) => return self.script(path, script, argv, depth),
            Program::Known(path, Kind::Loader(libc)) => return self.loaded(path, *libc, argv),
            Program::Known(path, kind) => (format!("/{path}"), Some(*kind)),
            Program::Ordinary(kind) => (first.clone(), Some(*kind)),
            // A layer that was not read may have it, and as anything.
            Program::Missing if self.facts.partial => return untold(self.missing(first)),
            Program::Missing => (first.clone(), None),
        };
        // What only starts another need not be there to say what that is.
        match wrappers::unwrap(name, argv) {
            Unwrapped::Starts(at) => return self.follow(&argv[at..], depth + 1),
            Unwrapped::Untold => return untold(format!("which program `{first}` starts is not told by its arguments")),
            Unwrapped::NoWrapper => {}
        }
        if name == "busybox" && argv.get(1).is_some_and(|applet| is_shell(applet)) {
            if let Some(verdict) = self.shell(&argv[1..], depth) {
                return verdict;
            }
        } else if is_shell(name)
            && let Some(verdict) = self.shell(argv, depth)
        {
            return verdict;
        }
        match kind {
            Some(kind) => self.kind(&path, kind),
            None => untold(self.missing(first)),
        }
    }

    fn missing(&self, program: &str) -> String {
        let ImageFacts { partial, truncated, .. } = self.facts;
        if *partial || *truncated {
            format!("what `{program}` is was not kept of the image")
        } else {
            format!("the image holds no program `{program}` that can be read; a volume may bring it")
        }
    }

    /// Finds a program as the container runtime does: by its path, or along the search path.
    fn look_up(&self, program: &str) -> Result<Program<'a>, Untold> {
        let facts = self.facts;
        if program.contains('/') {
            let path = match program.strip_prefix('/') {
                Some(_) => program.to_owned(),
                None => format!("{}/{program}", facts.config.working_dir),
            };
            return Ok(self.at(&facts.real(&path)));
        }
        let path =
            (self.env)("PATH").or_else(|| facts.config.env.get("PATH").map(String::as_str)).unwrap_or(DEFAULT_PATH);
        if path.contains('$') {
            return untold("the search path is in a variable, of which only the container knows the value");
        }
        // A program that is named may stand behind a folder of ordinary ones; those that share its name are named too.
        let folders: Vec<String> = path.split(':').map(|folder| facts.real(&format!("{folder}/{program}"))).collect();
        let named = folders.iter().map(|path| self.at(path)).find(|found| matches!(found, Program::Known(..)));
        let ordinary = || folders.iter().map(|path| self.at(path)).find(|found| matches!(found, Program::Ordinary(_)));
        // Of a partial image a folder earlier on the search path may not have been read.
        if facts.partial && named.is_some() && !matches!(self.at(&folders[0]), Program::Known(..)) {
            return Ok(Program::Missing);
        }
        Ok(named.or_else(ordinary).unwrap_or(Program::Missing))
    }

    fn at(&self, path: &str) -> Program<'a> {
        let ImageFacts { kinds, ordinary, folders, programs, partial, truncated, .. } = self.facts;
        if let Some((path, kind)) = programs.get_key_value(path).and_then(|(path, at)| Some((path, kinds.get(*at)?))) {
            return Program::Known(path.to_string(), kind);
        }
        let ordinary = ordinary.and_then(|at| kinds.get(at)).filter(|_| !partial && !truncated);
        match ordinary.filter(|_| folders.contains(split(path).0)) {
            Some(kind) => Program::Ordinary(kind),
            None => Program::Missing,
        }
    }

    fn script(&mut self, path: &str, script: &Script, argv: &[String], depth: usize) -> Verdict {
        let Script { interpreter, argument, starts } = script;
        if script.is_shell() {
            return self.started(path, starts, argv, depth);
        }
        let mut read_by = vec![interpreter.to_string()];
        match argument.as_deref().map(|argument| (argument, argument.strip_prefix("-S"))) {
            Some((_, Some(split))) => read_by.extend(split.split_whitespace().map(str::to_owned)),
            Some((argument, None)) => read_by.push(argument.to_owned()),
            None => {}
        }
        read_by.push(format!("/{path}"));
        self.follow(&read_by, depth + 1)
    }

    /// A shell with arguments; `None` if it is the process itself.
    fn shell(&mut self, argv: &[String], depth: usize) -> Option<Verdict> {
        let mut at = 1;
        while let Some(word) = argv.get(at).filter(|word| word.starts_with(['-', '+'])) {
            at += 1;
            if !word.starts_with("--") && word.contains('c') {
                let text = argv.get(at)?;
                return Some(self.text(text, argv.get(at + 1..).unwrap_or_default(), depth));
            }
            if matches!(word.as_str(), "-o" | "+o" | "--rcfile" | "--init-file" | "-O") {
                at += 1;
            }
        }
        let path = argv.get(at)?;
        let path = match path.strip_prefix('/') {
            Some(_) => path.clone(),
            None => format!("{}/{path}", self.facts.config.working_dir),
        };
        Some(match self.at(&self.facts.real(&path)) {
            Program::Known(path, Kind::Script(script)) => self.started(&path, &script.starts, &argv[at..], depth),
            _ => self.anything(&format!("what the script `{path}` starts is not known")),
        })
    }

    /// The text of `sh -c`, and what follows it: `$0`, `$1` and so on.
    fn text(&mut self, text: &str, rest: &[String], depth: usize) -> Verdict {
        let arguments = rest.get(1..).unwrap_or_default();
        let commands = shell::commands(text);
        let argv = |command: &shell::Command| substitute(&command.words, arguments);
        match commands.as_slice() {
            [] => untold("the shell is given no command that can be read"),
            [only] => self.follow(&argv(only), depth + 1),
            [before @ .., last] if last.exec && !before.iter().any(|command| command.exec) => {
                self.follow(&argv(last), depth + 1)
            }
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
        let mut verdicts = Vec::new();
        for start in starts {
            let words: Vec<String> = start.iter().map(|word| word.to_string()).collect();
            // `exec gosu app "$0" "$@"` comes back to the same script as another user.
            if words.iter().any(|word| word == ITSELF || *word == format!("/{path}")) {
                continue;
            }
            let words = substitute(&words, arguments);
            if !words.is_empty() {
                verdicts.push(self.follow(&words, depth + 1));
            }
        }
        if verdicts.is_empty() {
            return self.anything(&format!("the script `/{path}` does not say by `exec` what takes its place"));
        }
        match agreed(verdicts) {
            Some(Ok(process)) => {
                let because = format!("the script `/{path}` gives way to another program: {}", process.because);
                Ok(Process { because, ..process })
            }
            _ => self.anything(&format!("what takes the place of the script `/{path}` is not told")),
        }
    }

    /// Any program of the image may be started: that tells something only if they are all alike.
    fn anything(&self, why: &str) -> Verdict {
        let ImageFacts { kinds, ordinary, families, partial, .. } = self.facts;
        if !partial
            && families.len() == 1
            && let Some(kind) = ordinary.and_then(|at| kinds.get(at))
        {
            return self.kind("", kind).map(|process| Process {
                because: format!("{why}, but all programs of the image are alike: {}", process.because),
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

    fn loaded(&self, path: &str, libc: Libc, argv: &[String]) -> Verdict {
        if argv.len() < 2 {
            return untold(format!("`/{path}` is a loader, and it is given no program"));
        }
        let libc = self.facts.loaders.get(&*format!("/{path}")).and_then(|loader| loader.libc).unwrap_or(libc);
        told(libc.resolver(), format!("it is started by `/{path}`, which is {libc}"))
    }

    fn kind(&self, path: &str, kind: &Kind) -> Verdict {
        let path = if path.is_empty() { "each".to_owned() } else { format!("`{path}`") };
        match kind {
            Kind::Dynamic { loader, go, getaddrinfo } => {
                let libc = self.facts.loader(loader);
                match (go, libc) {
                    // What the loader is, and its release, may be told by a layer that was not read.
                    (go, _) if self.facts.partial && go.as_ref().and_then(GoBuild::is_pure) != Some(true) => {
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
                             is none",
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
        let pod = (self.env)("GODEBUG").or_else(|| self.facts.config.env.get("GODEBUG").map(String::as_str));
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

fn told(resolver: Resolver, because: String) -> Verdict {
    Ok(Process { resolver, because })
}

fn untold<T>(reason: impl Into<String>) -> Result<T, Untold> {
    Err(Untold { reason: reason.into() })
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
    words.iter().flat_map(|word| if word == ARGUMENTS { arguments.to_vec() } else { vec![word.clone()] }).collect()
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

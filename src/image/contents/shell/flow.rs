//! The paths through a shell's text: which commands may replace the shell, and whether each path ends in one of them. A condition may be
//! true or false, and a loop may run any number of times. Time and memory are in proportion to the steps. Must not know words.

use super::lexer::Separator;
use crate::budget::count_turns;

/// A step of a body, in the order of the text. Steps with a separator are simple commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A command that leads to nothing: one of the shell itself, or a program that works on files alone.
    Nothing(Separator),
    /// A program that the shell waits for: the index of the command.
    Program(Separator, usize),
    /// A call of the functions of this name, by the index of the name.
    Call(Separator, usize),
    /// The commands from the first index up to the second, of which one replaces the shell.
    Exec(Separator, usize, usize),
    /// `exit`; with `true`, the status tells of an error.
    Exit(Separator, bool),
    /// `return`; with `true`, the status tells of an error.
    Return(Separator, bool),
    /// `break` or `continue`.
    Leave(Separator),
    /// The start of a compound command.
    Begin(Separator, Compound),
    /// `then`.
    Then,
    /// `elif`.
    ElseIf,
    /// `else`.
    Else,
    /// `do`.
    Do,
    /// The pattern of a `case`; with `true`, one that matches every word.
    Pattern(bool),
    /// The end of a compound command.
    End(Compound),
    /// The parser does not know where this leads.
    Unclear,
}

/// A kind of compound command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compound {
    If,
    Loop,
    Case,
    /// `{`.
    Group,
    /// `(`, which another process runs.
    Subshell,
}

/// The body of a function, or the text outside of functions.
#[derive(Debug, Default)]
pub(crate) struct Body {
    /// The index of the function's name; `None` outside of functions.
    pub(crate) function: Option<usize>,
    pub(crate) steps: Vec<Step>,
}

/// The paths that lead to one place, if there are any. With `true`, a program ran on one of them: if that path ends here, the program may
/// be the one that stays.
type Path = Option<bool>;

/// The paths that lead to one place, by the status of the last command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Paths {
    ok: Path,
    /// The paths on which the last list of commands failed, such as `a` of `a && b`.
    failed: Path,
}

/// The effect of a body, for a path on which no program ran before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Effect {
    after: Paths,
    /// A path may end here without an error and without a replacement.
    exits: bool,
}

/// An open compound command.
struct Frame {
    kind: Compound,
    /// The paths that continue at the end without running the command: the left side of `||`.
    beside: Path,
    /// The failed paths from before the command.
    failed_before: Path,
    /// The path to the start; inside an `if`, to the start of the current condition.
    start: Path,
    /// The paths to the ends of the finished branches, and out of a loop.
    ends: Paths,
    /// The path on which no branch is taken; `None` if one always is.
    skipped: Path,
    /// The number of programs that ran before.
    programs: usize,
    /// A pattern was read.
    has_branch: bool,
}

/// The search over all paths.
#[derive(Default)]
struct Search {
    /// The effect of each body once it is known.
    effects: Vec<Option<Effect>>,
    /// The ranges of commands that may replace the shell.
    replacements: Vec<(usize, usize)>,
    is_unclear: bool,
}

/// A step of the search over bodies.
#[derive(Clone, Copy)]
enum Visit {
    Enter(usize),
    /// All functions that the body calls were visited.
    Leave(usize),
}

/// The paths through one body.
struct Walk<'s> {
    search: &'s mut Search,
    is_function: bool,
    now: Paths,
    /// The ends of the function by `return`.
    returns: Paths,
    exits: bool,
    frames: Vec<Frame>,
    /// The indexes of the frames that are loops.
    loops: Vec<usize>,
    /// The number of frames that are subshells.
    subshells: usize,
    programs: usize,
}

/// Returns the ranges of commands of which one replaces the shell on every path that ends without an error; empty if there may be
/// another end. `bodies` begins with the text outside of functions; `functions` has the bodies by the index of a name.
pub(crate) fn replacements(bodies: &[Body], functions: &[Vec<usize>]) -> Vec<(usize, usize)> {
    let mut search = Search { effects: vec![None; bodies.len()], ..Search::default() };
    let mut is_begun = vec![false; bodies.len()];
    let mut visits = vec![Visit::Enter(0)];
    while let Some(visit) = visits.pop() {
        count_turns(1);
        match visit {
            Visit::Enter(at) => {
                let Some(begun) = is_begun.get_mut(at) else { continue };
                if std::mem::replace(begun, true) {
                    // A function that calls itself may run for ever.
                    search.is_unclear |= search.effects.get(at).is_none_or(Option::is_none);
                    continue;
                }
                visits.push(Visit::Leave(at));
                for name in called(bodies.get(at)) {
                    visits.extend(functions.get(name).into_iter().flatten().map(|body| Visit::Enter(*body)));
                }
            }
            Visit::Leave(at) => {
                let Some(body) = bodies.get(at) else { continue };
                let effect = search.walk(body, functions);
                if let Some(known) = search.effects.get_mut(at) {
                    *known = Some(effect);
                }
            }
        }
    }
    let Search { effects, mut replacements, is_unclear } = search;
    replacements.sort_unstable();
    let ends_otherwise = effects.first().copied().flatten().is_none_or(|effect| effect.after.ok == Some(true));
    if is_unclear || ends_otherwise { Vec::new() } else { replacements }
}

/// Returns the indexes of the names that a body calls, each once.
fn called(body: Option<&Body>) -> Vec<usize> {
    let steps = body.into_iter().flat_map(|body| &body.steps);
    let mut names: Vec<usize> = steps
        .filter_map(|step| match step {
            Step::Call(_, name) => Some(*name),
            _ => None,
        })
        .collect();
    count_turns(names.len());
    names.sort_unstable();
    names.dedup();
    names
}

const fn join(one: Path, other: Path) -> Path {
    match (one, other) {
        (None, path) | (path, None) => path,
        (Some(one), Some(other)) => Some(one || other),
    }
}

// === impl Paths ===

impl Paths {
    fn join(self, other: Self) -> Self {
        Self { ok: join(self.ok, other.ok), failed: join(self.failed, other.failed) }
    }

    /// Returns all paths, whatever the status.
    const fn any(self) -> Path {
        join(self.ok, self.failed)
    }
}

// === impl Search ===

impl Search {
    fn walk(&mut self, body: &Body, functions: &[Vec<usize>]) -> Effect {
        let mut walk = Walk {
            search: self,
            is_function: body.function.is_some(),
            now: Paths { ok: Some(false), failed: None },
            returns: Paths::default(),
            exits: false,
            frames: Vec::new(),
            loops: Vec::new(),
            subshells: 0,
            programs: 0,
        };
        for step in &body.steps {
            count_turns(1);
            walk.step(*step, functions);
        }
        let Walk { now, returns, exits, frames, .. } = walk;
        self.is_unclear |= !frames.is_empty();
        Effect { after: now.join(returns), exits }
    }
}

// === impl Walk ===

impl Walk<'_> {
    fn step(&mut self, step: Step, functions: &[Vec<usize>]) {
        match step {
            Step::Nothing(before) => self.command(before, |_, path| Paths { ok: Some(path), failed: None }),
            Step::Program(before, _) => self.command(before, |walk, _| {
                walk.programs += 1;
                Paths { ok: Some(true), failed: None }
            }),
            Step::Call(before, name) => {
                let bodies = functions.get(name).map(Vec::as_slice).unwrap_or_default();
                self.command(before, |walk, path| walk.call(bodies, path));
            }
            Step::Exec(before, first, end) => self.command(before, |walk, _| walk.exec(first, end)),
            Step::Exit(before, is_error) => self.command(before, |walk, path| walk.exit(path, is_error)),
            Step::Return(before, is_error) => self.command(before, |walk, path| walk.leave_function(path, is_error)),
            Step::Leave(before) => self.command(before, |walk, path| walk.leave_loop(path)),
            Step::Begin(before, kind) => self.begin(before, kind),
            Step::End(kind) => self.end(kind),
            Step::Then => {
                let is_open = self.frames.last_mut().filter(|frame| frame.kind == Compound::If).map(|frame| {
                    // The programs of a condition end: the shell waits for their status.
                    let path = self.now.any().and(frame.start);
                    frame.skipped = path;
                    self.now = Paths { ok: path, failed: None };
                });
                self.search.is_unclear |= is_open.is_none();
            }
            Step::ElseIf | Step::Else => {
                let is_open = self.frames.last_mut().filter(|frame| frame.kind == Compound::If).map(|frame| {
                    frame.ends = frame.ends.join(self.now);
                    frame.start = frame.skipped;
                    self.now = Paths { ok: frame.skipped, failed: None };
                    frame.skipped = None;
                });
                self.search.is_unclear |= is_open.is_none();
            }
            Step::Do => {
                let is_open = self.frames.last_mut().filter(|frame| frame.kind == Compound::Loop).map(|frame| {
                    let path = self.now.any();
                    frame.ends.ok = join(frame.ends.ok, path);
                    self.now = Paths { ok: path, failed: None };
                });
                self.search.is_unclear |= is_open.is_none();
            }
            Step::Pattern(matches_all) => {
                let is_open = self.frames.last_mut().filter(|frame| frame.kind == Compound::Case).map(|frame| {
                    if std::mem::replace(&mut frame.has_branch, true) {
                        frame.ends = frame.ends.join(self.now);
                    }
                    self.now = Paths { ok: frame.start, failed: None };
                    frame.skipped = frame.skipped.filter(|_| !matches_all);
                });
                self.search.is_unclear |= is_open.is_none();
            }
            Step::Unclear => self.search.is_unclear = true,
        }
    }

    /// Returns the path to a command after this separator, and the path on which the command does not run.
    fn separate(&mut self, before: Separator) -> (Path, Path) {
        let Paths { ok, failed } = self.now;
        match before {
            Separator::Next => {
                self.now = Paths::default();
                (join(ok, failed), None)
            }
            // `exec app &` replaces another process.
            Separator::Background => {
                self.now = Paths::default();
                (join(ok, failed).or(Some(true)), None)
            }
            Separator::And => {
                self.now = Paths { ok: None, failed: join(failed, ok) };
                (ok, None)
            }
            Separator::Or => {
                self.now = Paths::default();
                (join(ok, failed), ok)
            }
            Separator::Pipe => {
                self.now = Paths { ok: None, failed };
                (ok, None)
            }
        }
    }

    /// Runs a simple command, if a path leads to it.
    fn command(&mut self, before: Separator, run: impl FnOnce(&mut Self, bool) -> Paths) {
        let (path, beside) = self.separate(before);
        let after = path.map_or_else(Paths::default, |path| run(self, path));
        self.now = self.now.join(after);
        self.now.ok = join(self.now.ok, beside);
    }

    fn call(&mut self, bodies: &[usize], path: bool) -> Paths {
        self.programs += 1;
        let mut after = Paths::default();
        for body in bodies {
            let effect = self.search.effects.get(*body).copied().flatten();
            self.search.is_unclear |= effect.is_none();
            let Effect { after: paths, exits } = effect.unwrap_or_default();
            self.search.is_unclear |= exits && path;
            self.exits |= exits;
            after =
                after.join(Paths { ok: paths.ok.map(|own| own || path), failed: paths.failed.map(|own| own || path) });
        }
        after
    }

    fn exec(&mut self, first: usize, end: usize) -> Paths {
        if self.subshells > 0 {
            self.programs += 1;
            return Paths { ok: Some(true), failed: None };
        }
        self.search.replacements.push((first, end));
        Paths::default()
    }

    fn exit(&mut self, path: bool, is_error: bool) -> Paths {
        if !is_error && self.subshells == 0 {
            self.search.is_unclear |= path;
            self.exits = true;
        }
        Paths::default()
    }

    fn leave_function(&mut self, path: bool, is_error: bool) -> Paths {
        if !self.is_function {
            return self.exit(path, is_error);
        }
        if self.subshells == 0 {
            let paths = if is_error { &mut self.returns.failed } else { &mut self.returns.ok };
            *paths = join(*paths, Some(path));
        }
        Paths::default()
    }

    fn leave_loop(&mut self, path: bool) -> Paths {
        match self.loops.last().and_then(|at| self.frames.get_mut(*at)) {
            Some(frame) => {
                frame.ends.ok = join(frame.ends.ok, Some(path));
                Paths::default()
            }
            None => Paths { ok: Some(path), failed: None },
        }
    }

    fn begin(&mut self, before: Separator, kind: Compound) {
        let (start, beside) = self.separate(before);
        let failed_before = std::mem::take(&mut self.now).failed;
        let skipped = if kind == Compound::Case { start } else { None };
        let programs = self.programs;
        match kind {
            Compound::Loop => self.loops.push(self.frames.len()),
            Compound::Subshell => self.subshells += 1,
            Compound::If | Compound::Case | Compound::Group => {}
        }
        self.frames.push(Frame {
            kind,
            beside,
            failed_before,
            start,
            ends: Paths::default(),
            skipped,
            programs,
            has_branch: false,
        });
        self.now = Paths { ok: start, failed: None };
    }

    fn end(&mut self, kind: Compound) {
        let Some(frame) = self.frames.pop().filter(|frame| frame.kind == kind) else {
            self.search.is_unclear = true;
            return;
        };
        let Frame { kind: _, beside, failed_before, start, ends, skipped, programs, has_branch } = frame;
        match kind {
            Compound::Loop => drop(self.loops.pop()),
            Compound::Subshell => self.subshells -= 1,
            Compound::If | Compound::Case | Compound::Group => {}
        }
        let skipped = Paths { ok: skipped, failed: None };
        let after = match kind {
            Compound::If => ends.join(self.now).join(skipped),
            Compound::Case if has_branch => ends.join(self.now).join(skipped),
            Compound::Case => skipped,
            Compound::Loop => Paths { ok: join(ends.ok, self.now.any()), failed: None },
            Compound::Group => self.now,
            Compound::Subshell => Paths { ok: start.map(|path| path || self.programs > programs), failed: None },
        };
        self.now = Paths { ok: join(after.ok, beside), failed: join(after.failed, failed_before) };
    }
}

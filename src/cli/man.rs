//! `muslin man`: manual pages, one for each command, generated from `--help`.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Command};
use clap_mangen::Man as Page;
use jiff::Timestamp;

use super::outcome::{Failure, Outcome};

/// Write the manual pages.
///
/// Writes one page for each command: muslin.1, muslin-serve.1 and so on. To read one: man -l DIR/muslin.1
#[derive(Debug, Args)]
pub(super) struct Man {
    /// The folder to write to; created if missing
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// The exit codes and their meanings.
pub(super) const EXIT_STATUS: &[(&str, &str)] = &[
    ("0", "No findings at or above --fail-on; for other commands: success."),
    ("1", "There are findings. Fixed ones count, except for scan and check --fix."),
    ("2", "Bad input or usage."),
    ("3", "A cluster, registry or network error, or a file that cannot be written."),
];

/// The files that commands read: path, meaning, commands.
const FILES: &[(&str, &str, &[&str])] = &[
    (
        "muslin.toml",
        "Profile, levels of rules, images and files to skip. The nearest one is read, from the working directory upwards.",
        &["check", "inject"],
    ),
    (
        "~/.docker/config.json",
        "Credentials of registries, as docker login writes them.",
        &["check", "inject", "inspect", "scan", "serve"],
    ),
    ("~/.cache/muslin/images", "Facts of images that --inspect read.", &["check", "inject"]),
    (
        "~/.kube/config",
        "The cluster and its credentials, outside of a pod.",
        &["scan", "status", "serve", "queries", "doctor", "probe"],
    ),
    ("/etc/resolv.conf", "The nameservers, search domains and options that are examined.", &["probe"]),
];

/// The longest line of a page's source, which readers of manual pages wrap themselves.
const LINE_MAX: usize = 80;

// === impl Man ===

impl Man {
    pub(super) fn run(&self, arguments: Command) -> Outcome {
        self.write(arguments).map_err(Failure::Input)
    }

    fn write(&self, arguments: Command) -> anyhow::Result<()> {
        let folder = self.folder.display();
        std::fs::create_dir_all(&self.folder).with_context(|| format!("cannot create the folder {folder}"))?;
        let mut main = arguments.disable_help_subcommand(true);
        main.build();
        let commands = main.get_subcommands().filter(|command| !command.is_hide_set());
        let commands: Vec<&Command> =
            commands.flat_map(|command| std::iter::once(command).chain(command.get_subcommands())).collect();
        let names: Vec<String> = commands.iter().map(|command| page_name(command)).collect();
        for command in std::iter::once(&main).chain(commands) {
            let path = self.folder.join(format!("{}.1", page_name(command)));
            let text = page(command, &names)?;
            std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}

fn page_name(command: &Command) -> String {
    command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned()
}

/// Returns the source of a page.
fn page(command: &Command, names: &[String]) -> anyhow::Result<String> {
    let name = page_name(command);
    let mut source = Vec::new();
    Page::new(command.clone().after_help("").after_long_help(""))
        .title(name.to_uppercase())
        .date(date()?)
        .source(format!("muslin {}", env!("CARGO_PKG_VERSION")))
        .manual("muslin")
        .render(&mut source)?;
    let mut text = String::from_utf8(source)?;
    // clap ends the page with the sections for the help that was taken out, and for the version.
    for section in [".SH EXTRA", ".SH VERSION"] {
        if let Some(start) = text.find(section) {
            text.truncate(start);
        }
    }
    write_sections(&mut text, command, &name, names);
    Ok(wrapped(&text))
}

/// Writes the sections that clap does not know.
fn write_sections(text: &mut String, command: &Command, name: &str, names: &[String]) {
    let help = command.get_after_long_help().or_else(|| command.get_after_help()).map(ToString::to_string);
    if let Some(help) = help.filter(|help| !help.starts_with("Exit codes")) {
        let (heading, body) =
            help.strip_prefix("Examples:\n").map_or(("NOTES", help.as_str()), |body| ("EXAMPLES", body));
        writeln!(text, ".SH {heading}\n.nf").ok();
        text.extend(body.lines().map(|line| escaped(line) + "\n"));
        text.push_str(".fi\n");
    }
    text.push_str(".SH EXIT STATUS\n");
    for (code, meaning) in EXIT_STATUS {
        writeln!(text, ".TP\n{code}\n{}", escaped(meaning)).ok();
    }
    let variables = command.get_arguments().filter(|argument| !argument.is_hide_set());
    let variables: Vec<_> =
        variables.filter_map(|argument| Some((argument.get_env()?, argument.get_long()?))).collect();
    if !variables.is_empty() {
        text.push_str(".SH ENVIRONMENT\n");
        for (variable, argument) in variables {
            let variable = variable.to_string_lossy();
            writeln!(text, ".TP\n{}\nUsed without --{}.", escaped(&variable), escaped(argument)).ok();
        }
    }
    let mut files = FILES.iter().filter(|(_, _, commands)| commands.contains(&command.get_name())).peekable();
    if files.peek().is_some() {
        text.push_str(".SH FILES\n");
        for (path, meaning, _) in files {
            writeln!(text, ".TP\n{}\n{}", escaped(path), escaped(meaning)).ok();
        }
    }
    let pages = std::iter::once("muslin").chain(names.iter().map(String::as_str)).filter(|other| *other != name);
    let mut others: Vec<String> = pages.map(|other| format!(".BR {} (1)", escaped(other))).collect();
    others.push(".BR resolv.conf (5)".to_owned());
    writeln!(text, ".SH SEE ALSO\n{}", others.join(" ,\n")).ok();
}

/// Returns the day of the release, as SOURCE_DATE_EPOCH has it, else today.
fn date() -> anyhow::Result<String> {
    let time = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(seconds) => Timestamp::from_second(seconds.parse().context("SOURCE_DATE_EPOCH is no number of seconds")?)?,
        Err(_) => Timestamp::now(),
    };
    Ok(time.strftime("%Y-%m-%d").to_string())
}

fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    // A line that begins so would be a request.
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

/// Returns the source with short lines, and without the requests around an empty line that clap writes before possible values.
fn wrapped(text: &str) -> String {
    let text =
        text.replace("\n.br\n\n.br\n", "\n.sp\n").replace("\n.sp\n.br\n", "\n.sp\n").replace("\n.br\n.sp\n", "\n.sp\n");
    let mut output = String::with_capacity(text.len());
    let mut is_filled = true;
    for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        match line {
            ".nf" => is_filled = false,
            ".fi" => is_filled = true,
            _ => {}
        }
        if !is_filled || line.starts_with(['.', '\'']) {
            writeln!(output, "{line}").ok();
            continue;
        }
        let options = textwrap::Options::new(LINE_MAX)
            .break_words(false)
            .word_separator(textwrap::WordSeparator::AsciiSpace)
            .word_splitter(textwrap::WordSplitter::NoHyphenation);
        for (index, part) in textwrap::wrap(line, options).iter().enumerate() {
            let guard = if index > 0 && part.starts_with(['.', '\'']) { "\\&" } else { "" };
            writeln!(output, "{guard}{part}").ok();
        }
    }
    output
}

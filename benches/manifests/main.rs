//! Compares `muslin check` on a folder of manifests with only parsing the same files: by a library, and by muslin's own reader. All use the
//! same number of threads and the same allocator, and take turns in one run, each in its own process, so that ratios are meaningful on a
//! noisy machine.
//!
//! ```text
//! cargo bench --bench check -- --help
//! ```

mod generate;
mod large;
mod process;
mod styles;

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::{Parser, ValueEnum};
use muslin::manifest::{Document, Stream};

use crate::generate::{Made, Shape, generate};
use crate::large::Large;
use crate::process::{Cost, run};

/// Check generated manifests, and compare with parsing them.
#[derive(Debug, Parser)]
#[command(name = "check", bin_name = "cargo bench --bench check --")]
struct Options {
    /// Files in the large folder
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    files: usize,

    /// Files in the small folder, for comparing peak memory
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    few: usize,

    /// Rounds; each runs every program once
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,

    /// The generator's seed
    #[arg(long, value_name = "NUMBER", default_value_t = 20_240_611)]
    seed: u64,

    /// The muslin program to run [default: the one built by this `cargo bench`]
    #[arg(long, value_name = "FILE", default_value = env!("CARGO_BIN_EXE_muslin"), hide_default_value = true)]
    muslin: PathBuf,

    /// Measure large inputs instead: 100,000 files, and single files of 50 MB
    #[arg(long)]
    large: bool,

    /// Only parse every manifest below this folder. The benchmark starts itself with this flag.
    #[arg(long, value_name = "FOLDER", hide = true)]
    parse: Option<PathBuf>,

    /// The reader of `--parse`
    #[arg(long, value_enum, default_value_t, hide = true)]
    reader: Reader,

    /// Cargo passes this to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// A reader of YAML that `check` is compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Reader {
    /// serde-saphyr into `serde_json::Value`, as most programs read YAML.
    #[default]
    Library,
    /// The reader of `check`.
    Muslin,
}

/// The allocator of the program, so that allocators do not differ.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The output formats of `check` to compare with parsing.
const FORMATS: [&str; 4] = ["human", "json", "sarif", "github"];

fn main() -> Result<()> {
    let options = Options::parse();
    if let Some(folder) = &options.parse {
        return parse_all(folder, options.reader);
    }
    if options.large {
        let text = report_large(&options)?;
        return std::io::stdout().lock().write_all(text.as_bytes()).context("write the table to stdout");
    }
    let corpora: [(&str, &[Shape; 10]); 2] = [
        ("As kustomize and Helm write them", &generate::SHAPES),
        ("In the styles of public repositories", &styles::SHAPES),
    ];
    for (title, shapes) in corpora {
        let folder = tempfile::tempdir().context("make a temporary folder")?;
        let (many, few) = (folder.path().join("many"), folder.path().join("few"));
        let made = generate(&many, shapes, options.files, options.seed)?;
        generate(&few, shapes, options.few, options.seed)?;
        let text = format!("{title}: {}\n", report(&options, &many, &few, made)?);
        std::io::stdout().lock().write_all(text.as_bytes()).context("write the table to stdout")?;
    }
    Ok(())
}

fn report(options: &Options, many: &Path, few: &Path, made: Made) -> Result<String> {
    let own = std::env::current_exe().context("find the benchmark itself")?;
    let parse =
        |folder: &Path, reader| run(&own, &["--reader".as_ref(), reader, "--parse".as_ref(), folder.as_os_str()]);
    let (library, muslin) = ("library".as_ref(), "muslin".as_ref());
    let check = |folder: &Path, format: &str| {
        let arguments = ["check", "--no-config", "--fail-on", "never", "--output", format].map(AsRef::as_ref);
        run(&options.muslin, &[&arguments[..], &[folder.as_os_str()]].concat())
    };
    // The first run is not measured: it reads from the disk.
    parse(many, library)?;
    let (mut parsed, mut read) = (Vec::new(), Vec::new());
    let mut checked: Vec<Vec<Cost>> = vec![Vec::new(); FORMATS.len()];
    for round in 0..options.rounds {
        writeln!(std::io::stderr(), "round {} of {}", round + 1, options.rounds)?;
        parsed.push(parse(many, library)?);
        read.push(parse(many, muslin)?);
        for (format, costs) in FORMATS.iter().zip(&mut checked) {
            costs.push(check(many, format)?);
        }
    }

    let megabytes = made.bytes as f64 / 1e6;
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut text = format!(
        "{} files, {megabytes:.1} MB, {threads} threads, {} rounds; medians, in brackets the least and the greatest\n\n\
         | | wall | CPU | MB/s | CPU : serde-saphyr | wall : reader | CPU : reader | peak RSS | of {} files |\n\
         |---|---|---|---|---|---|---|---|---|\n",
        made.files, options.rounds, options.few,
    );
    let mut row = |name: &str, costs, few| row(&mut text, name, costs, [&parsed, &read], megabytes, few);
    row("serde-saphyr alone", &parsed, parse(few, library)?);
    row("muslin's reader alone", &read, parse(few, muslin)?);
    for (format, costs) in FORMATS.iter().zip(&checked) {
        row(&format!("check -o {format}"), costs, check(few, format)?);
    }
    Ok(text)
}

/// Runs `check`, `check --fix` and `inject` once on each large input.
fn report_large(options: &Options) -> Result<String> {
    let mut text =
        "| input | MB | command | wall | CPU | peak RSS | peak : input |\n|---|---|---|---|---|---|---|\n".to_owned();
    let folder = tempfile::tempdir().context("make a temporary folder")?;
    let many = folder.path().join("many");
    let made = generate(&many, &generate::SHAPES, 100_000, options.seed)?;
    let mut inputs = large::generate(folder.path(), 50_000_000, options.seed)?;
    inputs.insert(0, Large { title: "100,000 files", path: many, bytes: made.bytes });
    for Large { title, path, bytes } in inputs {
        let check: &[&str] = &["check", "--no-config", "--fail-on", "never"];
        let commands: [&[&str]; 3] = [
            check,
            &["check", "--no-config", "--fail-on", "never", "--fix"],
            &["inject", "--no-config", "--fail-on", "never"],
        ];
        for command in commands {
            if command[0] == "inject" && path.is_dir() {
                continue;
            }
            writeln!(std::io::stderr(), "{title}: {}", command.join(" "))?;
            let arguments: Vec<&OsStr> = command.iter().map(OsStr::new).chain([path.as_os_str()]).collect();
            // `--fix` would leave nothing to fix for the next command.
            let before = if command.contains(&"--fix") && path.is_file() { Some(fs::read(&path)?) } else { None };
            let Cost { wall, cpu, peak_bytes } = run(&options.muslin, &arguments)?;
            if let Some(before) = before {
                fs::write(&path, before)?;
            }
            let _ = writeln!(
                text,
                "| {title} | {:.1} | `{}` | {:.2} s | {:.2} s | {:.1} MB | {:.2} |",
                bytes as f64 / 1e6,
                command
                    .iter()
                    .filter(|word| !word.starts_with("--") || **word == "--fix")
                    .filter(|word| **word != "never")
                    .copied()
                    .collect::<Vec<_>>()
                    .join(" "),
                wall.as_secs_f64(),
                cpu.as_secs_f64(),
                peak_bytes as f64 / 1e6,
                peak_bytes as f64 / bytes as f64,
            );
        }
    }
    Ok(text)
}

/// Writes the row of a program, with its ratios to parsing by the library and by muslin's reader.
fn row(text: &mut String, name: &str, costs: &[Cost], [parsed, read]: [&[Cost]; 2], megabytes: f64, few: Cost) {
    let (wall, cpu) = (|cost: &Cost| cost.wall.as_secs_f64(), |cost: &Cost| cost.cpu.as_secs_f64());
    let peak = median(costs.iter().map(|cost| cost.peak_bytes as f64 / 1e6));
    let wall_median = median(costs.iter().map(wall));
    let _ = writeln!(
        text,
        "| {name} | {wall_median:.2} s | {:.2} s | {:.1} | {} | {} | {} | {peak:.1} MB | {:.1} MB |",
        median(costs.iter().map(cpu)),
        megabytes / wall_median,
        ratios(costs, parsed, cpu),
        ratios(costs, read, wall),
        ratios(costs, read, cpu),
        few.peak_bytes as f64 / 1e6,
    );
}

/// Returns the ratios within each round, because a disturbance affects all programs of a round.
fn ratios(costs: &[Cost], others: &[Cost], of: impl Fn(&Cost) -> f64) -> String {
    spread(costs.iter().zip(others).map(|(cost, other)| of(cost) / of(other)).collect())
}

fn spread(values: Vec<f64>) -> String {
    let (least, greatest) =
        values.iter().fold((f64::MAX, f64::MIN), |(least, greatest), value| (least.min(*value), greatest.max(*value)));
    format!("{:.2} ({least:.2} to {greatest:.2})", median(values.into_iter()))
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Reads every file, splits it into documents and parses each. `check` is compared with this.
fn parse_all(folder: &Path, reader: Reader) -> Result<()> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    files.sort();
    let next = AtomicUsize::new(0);
    let parse_some = || -> Result<()> {
        while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
            for document in Stream::new(&text).documents {
                parse(&document, reader).with_context(|| format!("parse {}", path.display()))?;
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(parse_some)).collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(outcome) => outcome,
            Err(_) => bail!("a thread panicked"),
        })
    })
}

fn parse(document: &Document<'_>, reader: Reader) -> Result<()> {
    match reader {
        Reader::Library => {
            let value: serde_json::Value = serde_saphyr::from_str(&document.text().to_string())?;
            std::hint::black_box(value);
        }
        Reader::Muslin => {
            std::hint::black_box(document.parse().map_err(|error| anyhow!("{}", error.message))?);
        }
    }
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() { collect(&path, files)? } else { files.push(path) }
    }
    Ok(())
}

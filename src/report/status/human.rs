//! The state of a cluster's DNS on lines of at most 80 columns, the most important first.

use anstyle::{AnsiColor, Style};

use super::{StatusView, counted, lost, milliseconds};
use crate::doctor;
use crate::policy::Level;
use crate::report::table;
use crate::status::{Images, Muslin, NameserverRow, NamespaceGroup, NodeTotals, Problem, Status};
use crate::text::{Block, Line};

/// Characters of a line.
const WIDTH: usize = 80;
/// The width of the column with levels.
const LEVEL_WIDTH: usize = 6;
/// The most problems, rows of a table, and names on a row.
const PROBLEMS_MAX: usize = 30;
const ROWS_MAX: usize = 12;
const NAMES_MAX: usize = 3;
/// The longest name in a column, in bytes.
const CELL_MAX: usize = 39;

/// Returns the state for people.
pub fn human_status(status: &Status, view: &StatusView) -> Block {
    let mut text = Block::default();
    headline(&mut text, status, view);
    for problem in status.problems.iter().take(PROBLEMS_MAX) {
        write_problem(&mut text, problem);
    }
    let more = status.problems.len().saturating_sub(PROBLEMS_MAX) + status.problems_left_out;
    if more > 0 {
        let sentence = format!("And {}: muslin status -o html, or -o json", counted(more, "more problem"));
        paragraph(&mut text, 0, &sentence);
    }
    if !status.problems.is_empty() {
        text.push_line("");
    }
    paragraph(&mut text, 0, &nodes(&status.totals));
    nameservers(&mut text, &status.nameservers);
    namespaces(&mut text, status.namespaces.as_deref());
    text.push_line("");
    if let Some(images) = &status.images {
        paragraph(&mut text, 0, &images_line(images));
    }
    paragraph(&mut text, 0, &muslin(&status.muslin));
    for sentence in &status.unread {
        paragraph(&mut text, 0, &format!("Not known: {sentence}"));
    }
    text
}

fn headline(text: &mut Block, status: &Status, view: &StatusView) {
    let count = |level| status.problems.iter().filter(|problem| problem.level == level).count();
    let levels = [Level::Deny, Level::Warn, Level::Info].map(|level| (count(level), level.name()));
    let shown = levels.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}"));
    let shown = shown.collect::<Vec<_>>().join(", ");
    let result = match (shown.is_empty(), status.unread.is_empty()) {
        (false, _) => shown,
        (true, true) => "no problem".to_owned(),
        (true, false) => "no problem is known".to_owned(),
    };
    let context = view.context.as_ref().map(|context| format!(" in context {context}")).unwrap_or_default();
    let time = status.time.strftime("%Y-%m-%d %H:%M UTC");
    paragraph(text, 0, &format!("DNS of {}{context} at {time}: {result}", counted(status.totals.all, "node")));
    text.push_line("");
}

fn write_problem(text: &mut Block, problem: &Problem) {
    let Problem { level, title, details, .. } = problem;
    for (index, line) in wrapped(title, WIDTH - LEVEL_WIDTH).into_iter().enumerate() {
        if index == 0 {
            text.push_styled(style(*level), &Line::new(format!("{:LEVEL_WIDTH$}", level.name())));
            text.push_line(line);
        } else {
            text.push_line(format!("{:LEVEL_WIDTH$}{line}", ""));
        }
    }
    for detail in details {
        paragraph(text, LEVEL_WIDTH, detail);
    }
}

fn nodes(totals: &NodeTotals) -> String {
    let NodeTotals { all, healthy, verdict, silent, unwatched, foreign } = *totals;
    let parts = [
        (healthy, "healthy"),
        (verdict, "with a verdict"),
        (silent, "silent"),
        (unwatched, "not watched"),
        (foreign, "on which no watcher runs"),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    match &*parts {
        [] => "Nodes: none is known".to_owned(),
        parts => format!("Nodes: {all} ({})", parts.join(", ")),
    }
}

fn nameservers(text: &mut Block, rows: &[NameserverRow]) {
    if rows.is_empty() {
        return;
    }
    let head = ["NAMESERVER", "NODES", "LOST", "P50", "P99"].map(Line::new).to_vec();
    let row = |row: &NameserverRow| {
        let NameserverRow { address, nodes, queries, lost: without, p50_milliseconds, p99_milliseconds, .. } = row;
        vec![
            Line::cut(address.clone(), CELL_MAX),
            Line::new(nodes.to_string()),
            Line::new(lost(*queries, *without)),
            Line::new(milliseconds(*p50_milliseconds)),
            Line::new(milliseconds(*p99_milliseconds)),
        ]
    };
    text.push_line("");
    let shown = std::iter::once(head).chain(rows.iter().take(ROWS_MAX).map(row)).collect::<Vec<_>>();
    text.push(&table(&shown));
    more(text, rows.len(), "nameserver");
}

fn namespaces(text: &mut Block, groups: Option<&[NamespaceGroup]>) {
    let Some(groups @ [_, ..]) = groups else { return };
    let head = ["MODE", "PROFILE", "NAMESPACES"].map(Line::new).to_vec();
    let row = |group: &NamespaceGroup| {
        let NamespaceGroup { mode, profile, namespaces } = group;
        let profile = if profile.is_empty() { "-" } else { profile };
        let names = namespaces.iter().take(NAMES_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = if namespaces.len() > NAMES_MAX { ", ..." } else { "" };
        let names = format!("{}: {names}{more}", namespaces.len());
        let profile = Line::cut(profile.to_owned(), CELL_MAX / 2);
        vec![Line::new(*mode), profile, Line::cut(names, WIDTH - 2 * "enforce  ".len() - CELL_MAX / 2)]
    };
    text.push_line("");
    let shown = std::iter::once(head).chain(groups.iter().take(ROWS_MAX).map(row)).collect::<Vec<_>>();
    text.push(&table(&shown));
    more(text, groups.len(), "group");
}

fn more(text: &mut Block, all: usize, what: &str) {
    if all > ROWS_MAX {
        text.push_line(format!("And {}: -o html, or -o json", counted(all - ROWS_MAX, &format!("more {what}"))));
    }
}

fn images_line(images: &Images) -> String {
    let Images { pods, images, unknown_images, .. } = images;
    format!("Images: {images} in {}, {unknown_images} with an unknown resolver", counted(*pods, "pod"))
}

fn muslin(muslin: &Muslin) -> String {
    let Muslin { namespace, checks, certificate_days } = muslin;
    if checks.is_empty() {
        return "muslin itself: not installed".to_owned();
    }
    let well = checks.iter().filter(|check| check.status == doctor::Status::Ok).count();
    let certificate = certificate_days.map(|days| format!(", certificate valid for {days} days")).unwrap_or_default();
    format!("muslin in namespace {namespace}: {well} of {} ok{certificate}", counted(checks.len(), "check"))
}

/// Writes one paragraph, each line indented.
fn paragraph(text: &mut Block, indent: usize, sentence: &str) {
    for line in wrapped(sentence, WIDTH - indent) {
        text.push_line(format!("{:indent$}{line}", ""));
    }
}

/// Returns the lines of a sentence. A word that is longer than a line stays whole, so that it can be copied.
fn wrapped(sentence: &str, width: usize) -> Vec<String> {
    let options = textwrap::Options::new(width).break_words(false).word_splitter(textwrap::WordSplitter::NoHyphenation);
    let sentence = Line::new(sentence.to_owned());
    textwrap::wrap(&sentence, options).into_iter().map(std::borrow::Cow::into_owned).collect()
}

fn style(level: Level) -> Style {
    let colour = match level {
        Level::Deny => AnsiColor::Red,
        Level::Warn => AnsiColor::Yellow,
        Level::Info => AnsiColor::Cyan,
    };
    Style::new().fg_color(Some(colour.into()))
}

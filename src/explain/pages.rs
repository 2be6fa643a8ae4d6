//! The generated part of `docs/`: one page a rule, one a verdict, and the matrix of options and resolvers. Must not know of files: it is given
//! the examples, and gives back texts.

use super::page::Page;
use super::{fault, index, option, rule};
use crate::resolver::known_options;
use crate::rules::{RULES, Rule};
use crate::verdicts::{DIAGNOSES, Diagnosis};

/// A page of `docs/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadePage {
    /// Where it stands, from `docs`: `rules/attempts-zero.md`.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// Manifests that show a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Examples {
    /// A pod on which it fires.
    pub fires: Option<String>,
    /// The same pod, fixed.
    pub fixed: Option<String>,
}

/// What stands at the head of each page, so that nobody edits it by hand.
const MADE: &str = "<!-- Made by `muslin docs`; do not edit. -->";

/// Every generated page. `examples` gives those of the rule of this slug.
pub fn pages(mut examples: impl FnMut(&str) -> Examples) -> Vec<MadePage> {
    let mut pages = vec![
        made("options.md", &options()),
        made("rules/README.md", &rules()),
        made("verdicts/README.md", &verdicts()),
    ];
    pages.extend(RULES.iter().map(|rule| made(&format!("rules/{}.md", rule.slug), &about(rule, &examples(rule.slug)))));
    pages.extend(DIAGNOSES.iter().map(|diagnosis| made(&format!("verdicts/{}.md", diagnosis.slug), &told(diagnosis))));
    pages
}

fn made(path: &str, text: &str) -> MadePage {
    MadePage { path: path.to_owned(), text: format!("{MADE}\n\n{text}") }
}

fn about(rule: &Rule, examples: &Examples) -> String {
    let Examples { fires, fixed } = examples;
    let mut page = rule::begun(rule);
    if let Some(fires) = fires {
        page.heading("A pod on which it fires");
        page.code("yaml", fires);
    }
    if let Some(fixed) = fixed {
        page.heading("The pod, fixed");
        page.code("yaml", fixed);
    }
    page.paragraph("[All rules](README.md)");
    page.into_text()
}

fn told(diagnosis: &Diagnosis) -> String {
    let mut page = fault::page(diagnosis);
    page.paragraph("[All verdicts](README.md)");
    page.into_text()
}

fn verdicts() -> String {
    let mut page = Page::titled("Verdicts");
    page.paragraph(
        "What `muslin probe` can find to be wrong with DNS where it runs. Each is held against what looks much like it, and none rests \
         on a single packet. `muslin explain VERDICT` shows the same texts.",
    );
    page.table(
        &["verdict", "is"],
        DIAGNOSES
            .iter()
            .map(|diagnosis| [format!("[{slug}]({slug}.md)", slug = diagnosis.slug), diagnosis.summary().to_owned()]),
    );
    page.into_text()
}

fn rules() -> String {
    let mut page = Page::titled("Rules");
    page.paragraph(
        "What muslin finds in pods. A finding of level `deny` means that lookups fail, `warn` that they are slower or fail more \
         often than they need, `info` that nothing has to be done. `muslin explain RULE` shows the same texts.",
    );
    page.table(
        &["rule", "level", "finds"],
        RULES.iter().map(|rule| {
            [format!("[{slug}]({slug}.md)", slug = rule.slug), rule.level.to_string(), rule.summary().to_owned()]
        }),
    );
    page.into_text()
}

fn options() -> String {
    let mut page = Page::titled("Options and resolvers");
    page.paragraph(
        "Which resolver acts on which option of resolv.conf, and in which releases. `no`: the option changes nothing there. \
         `depends`: on what a release number does not tell, such as a packager's patch or the option's place on the line. \
         `muslin explain OPTION` shows what one option does, `muslin explain musl-1.2.3` all options of one release.",
    );
    index::matrix(&mut page, |name| format!("[{name}](#{name})"));
    for name in known_options() {
        page.heading(name);
        page.paragraph(option::how_to_write(name));
        option::rows(&mut page, name);
    }
    page.into_text()
}

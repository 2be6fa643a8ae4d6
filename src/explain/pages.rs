//! The generated part of `docs/`: one page per rule, per verdict and per resolver inside programs, and the table of options and
//! resolvers. Must not
//! know of files: the caller passes the examples and gets texts.

use super::embedded::{EMBEDDED, EmbeddedResolver};
use super::page::Page;
use super::{index, kinds, option, rule, verdict};
use crate::resolver::known_options;
use crate::rules::{RULES, Rule};
use crate::verdicts::matrix::NETWORK_FAULTS;
use crate::verdicts::{DIAGNOSES, Diagnosis};

/// A generated page of `docs/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratedPage {
    /// The path below `docs`: `rules/attempts-zero.md`.
    pub path: String,
    /// The text.
    pub text: String,
}

/// Example manifests of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Examples {
    /// A pod on which the rule fires.
    pub fires: Option<String>,
    /// The same pod, fixed.
    pub fixed: Option<String>,
}

/// The first line of each page, so that it is not edited by hand.
const GENERATED: &str = "<!-- Made by `muslin docs`; do not edit. -->";

/// Returns every generated page. `examples` gives the examples of the rule with this slug.
pub fn pages(mut examples: impl FnMut(&str) -> Examples) -> Vec<GeneratedPage> {
    let mut pages = vec![
        generated("kinds.md", &kinds::kinds_page()),
        generated("options.md", &options_page()),
        generated("rules/README.md", &rules_page()),
        generated("verdicts/README.md", &verdicts_page()),
        generated("resolvers/README.md", &resolvers_page()),
    ];
    pages.extend(
        EMBEDDED.iter().map(|embedded| generated(&format!("resolvers/{}.md", embedded.slug), &embedded_page(embedded))),
    );
    pages.extend(
        RULES.iter().map(|rule| generated(&format!("rules/{}.md", rule.slug), &rule_page(rule, &examples(rule.slug)))),
    );
    pages.extend(
        DIAGNOSES
            .iter()
            .map(|diagnosis| generated(&format!("verdicts/{}.md", diagnosis.slug), &verdict_page(diagnosis))),
    );
    pages
}

fn generated(path: &str, text: &str) -> GeneratedPage {
    GeneratedPage { path: path.to_owned(), text: format!("{GENERATED}\n\n{text}") }
}

fn rule_page(rule: &Rule, examples: &Examples) -> String {
    let Examples { fires, fixed } = examples;
    let mut page = rule::page_start(rule);
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

fn verdict_page(diagnosis: &Diagnosis) -> String {
    let mut page = verdict::page(diagnosis);
    page.paragraph("[All verdicts](README.md)");
    page.into_text()
}

fn embedded_page(embedded: &EmbeddedResolver) -> String {
    let mut page = embedded.page();
    page.paragraph("[All resolvers inside programs](README.md)");
    page.into_text()
}

fn resolvers_page() -> String {
    let mut page = Page::titled("Resolvers inside programs");
    page.paragraph(
        "Some programs do not call the C library, but read resolv.conf themselves. No image shows that its program does so: muslin's rules \
         and profiles know only the C libraries, Go's resolver and c-ares (`muslin explain musl`, `glibc`, `go`, `uclibc`, `c-ares`). \
         These pages say what each such resolver reads and how it fails; `muslin explain netty` shows the same texts.",
    );
    page.table(
        &["resolver", "description"],
        EMBEDDED
            .iter()
            .map(|embedded| [format!("[{slug}]({slug}.md)", slug = embedded.slug), embedded.summary().to_owned()]),
    );
    page.into_text()
}

fn verdicts_page() -> String {
    let mut page = Page::titled("Verdicts");
    page.paragraph(
        "The faults that `muslin probe` can find in DNS where it runs. Each is checked against faults that look like it, and none rests \
         on a single packet. `muslin explain VERDICT` shows the same texts.",
    );
    page.table(
        &["verdict", "meaning"],
        DIAGNOSES
            .iter()
            .map(|diagnosis| [format!("[{slug}]({slug}.md)", slug = diagnosis.slug), diagnosis.summary().to_owned()]),
    );
    page.heading("What each fault gets");
    page.paragraph(
        "The faults of the laboratory. Each gets these verdicts and no other of level `warn` or above; tests compare this table with the \
         verdicts on a real network with this fault.",
    );
    let link = |slug: &&str| format!("[{slug}]({slug}.md)");
    page.table(
        &["fault", "verdicts"],
        NETWORK_FAULTS.iter().map(|fault| {
            let verdicts: Vec<String> = fault.verdicts.iter().map(link).collect();
            let verdicts = if verdicts.is_empty() { "none".to_owned() } else { verdicts.join(", ") };
            [fault.title.to_owned(), verdicts]
        }),
    );
    page.into_text()
}

fn rules_page() -> String {
    let mut page = Page::titled("Rules");
    page.paragraph(
        "The findings that muslin reports on pods. Level `deny` means that lookups fail, `warn` that they are slower or fail more \
         often than necessary, `info` that no action is needed. `muslin explain RULE` shows the same texts.",
    );
    page.table(
        &["rule", "level", "finds"],
        RULES.iter().map(|rule| {
            [format!("[{slug}]({slug}.md)", slug = rule.slug), rule.level.to_string(), rule.summary().to_owned()]
        }),
    );
    page.into_text()
}

fn options_page() -> String {
    let mut page = Page::titled("Options and resolvers");
    page.paragraph(
        "The resolvers that act on each option of resolv.conf, and their releases. `no`: the option changes nothing. `depends`: \
         the effect depends on more than the release, such as a packager's patch or the option's place on the line. \
         `muslin explain OPTION` shows one option, `muslin explain musl-1.2.3` all options of one release.",
    );
    index::matrix(&mut page, |name| format!("[{name}](#{name})"));
    for name in known_options() {
        page.heading(name);
        page.paragraph(option::how_to_set(name));
        option::write_facts(&mut page, name);
    }
    page.into_text()
}

//! Writes the results of a scan as one HTML page: what is unknown, findings by namespace and by rule, and the images. The page needs no
//! network and no script, and its content policy allows none. Must not know how the results are collected.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use super::results::{CountedFinding, ImageInUse, ObjectFindings, ScanResults, TopObject};
use crate::policy::Level;
use crate::report::{Counts, Markup};
use crate::rules::{DocsUrl, Rule};
use crate::text::Block;

/// The facts about a scan that its results do not have.
pub(super) struct About<'a> {
    /// The context of the kubeconfig, if the scan used one.
    pub(super) context: Option<String>,
    /// The time, in UTC.
    pub(super) time: String,
    pub(super) version: &'a str,
    pub(super) docs: Option<&'a DocsUrl>,
    /// Is true if images were read.
    pub(super) is_inspected: bool,
}

/// An object, its findings, and its number on the page.
struct Numbered<'r> {
    number: usize,
    top: &'r TopObject,
    object: &'r ObjectFindings,
}

/// The page, as far as it is written.
struct Page<'r> {
    html: Markup,
    about: &'r About<'r>,
    results: &'r ScanResults,
    objects: Vec<Numbered<'r>>,
    images: Vec<ImageInUse>,
}

/// Returns the page.
pub(super) fn html(results: &ScanResults, about: &About<'_>) -> Block {
    let numbered = |(number, (top, object))| Numbered { number, top, object };
    let objects = results.objects.iter().enumerate().map(numbered).collect();
    let mut page = Page { html: Markup::default(), about, results, objects, images: results.images_in_use() };
    page.head();
    page.summary();
    page.unknown();
    page.by_namespace();
    page.by_rule();
    page.list_images();
    page.html.fixed("</main>\n</body>\n</html>\n");
    page.html.into_block()
}

// === impl Page ===

impl Page<'_> {
    fn head(&mut self) {
        let Self { html, about, results, .. } = self;
        html.begin_page(&format!("DNS of pods: {}", results.scope));
        html.fixed("<header>\n<h1>DNS of the pods in ");
        html.text(&results.scope);
        html.fixed("</h1>\n<p>Scanned ");
        html.text(&about.time);
        if let Some(context) = &about.context {
            html.fixed(" in context <code>");
            html.text(context);
            html.fixed("</code>");
        }
        html.fixed(" by muslin ");
        html.text(about.version);
        html.fixed(
            "</p>\n<nav aria-label=\"Sections\"><a href=\"#unknown\">Unknown</a><a href=\"#namespaces\">By namespace</a>\
             <a href=\"#rules\">By rule</a><a href=\"#images\">Images</a></nav>\n</header>\n<main>\n",
        );
    }

    fn summary(&mut self) {
        let summary = self.results.summary();
        let Counts { deny, warn, info } = summary.counts;
        let html = &mut self.html;
        html.fixed("<section aria-label=\"Summary\"><ul class=\"tiles\">\n");
        for (number, name, class, meaning) in [
            (deny, "deny", "deny", "lookups fail"),
            (warn, "warn", "warn", "lookups are slower, or fail more often, than necessary"),
            (info, "info", "info", "worth knowing"),
            (summary.objects, "objects", "plain", "with pods, such as Deployments"),
            (summary.pods, "pods", "plain", "running, and checked as they are"),
            (summary.containers.unknown, "unknown", "plain", "containers whose resolver is unknown"),
        ] {
            html.tile(class, &number.to_string(), name, meaning);
        }
        html.fixed("</ul></section>\n");
    }

    /// Writes what the scan does not know. Without it, nothing found would look like nothing wrong.
    fn unknown(&mut self) {
        let counts = self.results.summary().containers;
        let unknown: Vec<&ImageInUse> = self.images.iter().filter(|image| image.evidence == "none").collect();
        let assumed = self.images.iter().filter(|image| image.evidence == "assumed").count();
        let html = &mut self.html;
        html.fixed("<section><h2 id=\"unknown\">What is unknown</h2>\n<ul>\n");
        for note in &self.results.notes {
            html.element("li", note);
        }
        if counts.unknown > 0 {
            let unknown = counts.unknown;
            html.element(
                "li",
                &format!(
                    "The resolver of {unknown} of {} containers is unknown: no rule about a resolver can find anything in them. \
                     A ResolverProfile can declare their images{}.",
                    counts.all,
                    if self.about.is_inspected { "" } else { ", and --inspect reads them" }
                ),
            );
        }
        if assumed > 0 {
            html.element(
                "li",
                &format!(
                    "The resolvers of {assumed} of {} images are assumed from their names{}.",
                    self.images.len(),
                    if self.about.is_inspected {
                        ", because they could not be read"
                    } else {
                        "; --inspect reads the images"
                    }
                ),
            );
        }
        html.element("li", "Pods that have ended, and nodes, were not checked; muslin probe tests the network.");
        html.fixed("</ul>\n");
        if !unknown.is_empty() {
            html.fixed("<h3>Images of unknown resolvers</h3>\n");
            images(html, &unknown);
        }
        html.fixed("</section>\n");
    }

    fn by_namespace(&mut self) {
        let Self { html, about, objects, .. } = self;
        let mut namespaces: BTreeMap<&str, Vec<&Numbered<'_>>> = BTreeMap::new();
        for numbered in &*objects {
            namespaces.entry(&numbered.top.namespace).or_default().push(numbered);
        }
        let mut namespaces: Vec<_> = namespaces.into_iter().collect();
        // The most serious first.
        namespaces.sort_by_cached_key(|(_, objects)| {
            let Counts { deny, warn, .. } = counts(objects.iter().map(|numbered| numbered.object));
            (Reverse(deny), Reverse(warn))
        });
        html.fixed("<section><h2 id=\"namespaces\">By namespace</h2>\n");
        if namespaces.is_empty() {
            html.element("p", "There are no workloads and no pods.");
        }
        for (namespace, mut objects) in namespaces {
            let counts = counts(objects.iter().map(|numbered| numbered.object));
            objects.sort_by_key(|numbered| Reverse(worst(numbered.object)));
            let (clean, found): (Vec<&Numbered<'_>>, Vec<_>) =
                objects.into_iter().partition(|numbered| numbered.object.findings.is_empty());
            html.fixed(if counts.deny + counts.warn > 0 { "<details open>" } else { "<details>" });
            html.fixed("<summary><h3>");
            html.text(namespace);
            html.fixed("</h3>");
            badges(html, counts);
            html.fixed("</summary>\n");
            for numbered in found {
                object(html, numbered, about.docs);
            }
            if !clean.is_empty() {
                html.fixed("<p class=\"clean\">Without findings: ");
                for (index, Numbered { top, .. }) in clean.into_iter().enumerate() {
                    html.text(&format!("{}{}/{}", if index == 0 { "" } else { ", " }, top.kind, top.name));
                }
                html.fixed("</p>\n");
            }
            html.fixed("</details>\n");
        }
        html.fixed("</section>\n");
    }

    fn by_rule(&mut self) {
        let Self { html, about, results, objects, .. } = self;
        let mut of_rules: HashMap<(&str, &str), Vec<&Numbered<'_>>> = HashMap::new();
        for numbered in &*objects {
            for CountedFinding { rule, level, .. } in &numbered.object.findings {
                let of_rule = of_rules.entry((rule, level)).or_default();
                // An object has all its findings one after another.
                if of_rule.last().is_none_or(|last| last.number != numbered.number) {
                    of_rule.push(numbered);
                }
            }
        }
        html.fixed("<section><h2 id=\"rules\">By rule</h2>\n");
        let rules = results.rule_counts();
        if rules.is_empty() {
            html.element("p", "No rule found anything.");
        }
        for count in rules {
            html.fixed("<details><summary>");
            html.badge(count.level);
            html.fixed("<h3>");
            html.text(count.rule);
            html.fixed("</h3><span class=\"count\">");
            html.text(&format!("{}, {}", counted(count.objects, "object"), counted(count.pods, "pod")));
            html.fixed("</span></summary>\n<p>");
            html.text(Rule::named(count.rule).map(Rule::summary).unwrap_or_default());
            html.fixed(" ");
            more(html, count.rule, about.docs);
            html.fixed("</p>\n<ul class=\"objects\">\n");
            for Numbered { number, top, .. } in of_rules.remove(&(count.rule, count.level)).unwrap_or_default() {
                html.fixed("<li><a href=\"#o");
                html.text(&number.to_string());
                html.fixed("\">");
                html.text(&format!("{}/{}/{}", top.namespace, top.kind, top.name));
                html.fixed("</a></li>\n");
            }
            html.fixed("</ul></details>\n");
        }
        html.fixed("</section>\n");
    }

    fn list_images(&mut self) {
        let Self { html, images: all, .. } = self;
        html.fixed("<section><h2 id=\"images\">Images in use</h2>\n");
        if all.is_empty() {
            html.element("p", "No pod runs.");
        } else {
            images(html, &all.iter().collect::<Vec<_>>());
        }
        html.fixed("</section>\n");
    }
}

/// Writes an object: findings from `warn` up, and below them the advice, folded.
fn object(html: &mut Markup, Numbered { number, top, object }: &Numbered<'_>, docs: Option<&DocsUrl>) {
    html.fixed("<article id=\"o");
    html.text(&number.to_string());
    html.fixed("\"><h4>");
    html.text(&format!("{}/{}", top.kind, top.name));
    html.fixed("</h4><p class=\"facts\">");
    html.text(&match object.pods {
        0 => "no pods, template checked".to_owned(),
        pods => counted(pods, "pod"),
    });
    if !object.resolvers.is_empty() {
        html.fixed("; <code>");
        html.text(&object.resolvers);
        html.fixed("</code>");
    }
    html.fixed("</p>\n");
    let (serious, advice): (Vec<_>, Vec<_>) =
        object.findings.iter().partition(|counted| counted.finding.level >= Level::Warn);
    findings(html, serious, docs);
    if !advice.is_empty() {
        html.fixed("<details class=\"advice\"><summary>");
        html.text(&format!("{} of level info", counted(advice.len(), "finding")));
        html.fixed("</summary>\n");
        findings(html, advice, docs);
        html.fixed("</details>\n");
    }
    html.fixed("</article>\n");
}

fn findings(html: &mut Markup, mut findings: Vec<&CountedFinding>, docs: Option<&DocsUrl>) {
    if findings.is_empty() {
        return;
    }
    findings.sort_by_key(|counted| Reverse(counted.finding.level));
    html.fixed("<ul class=\"findings\">\n");
    for CountedFinding { rule, level, container, message, help, pods, fixed, .. } in findings {
        html.fixed("<li>");
        html.badge(level);
        html.fixed("<div><p>");
        if let Some(container) = container {
            html.fixed("<b>");
            html.text(container);
            html.fixed("</b>: ");
        }
        html.text(message);
        html.fixed("</p><p class=\"help\">");
        html.text(help);
        html.fixed("</p><p class=\"facts\">");
        more(html, rule, docs);
        html.text(&match (pods, fixed) {
            (0, true) => "; muslin fixes this in new pods".to_owned(),
            (0, false) => String::new(),
            (pods, false) => format!("; in {}", counted(*pods, "pod")),
            (pods, true) => format!("; in {}; muslin fixes this in new pods", counted(*pods, "pod")),
        });
        html.fixed("</p></div></li>\n");
    }
    html.fixed("</ul>\n");
}

/// Writes the name of a rule: a link to its page, or else the command that shows the page.
fn more(html: &mut Markup, rule: &str, docs: Option<&DocsUrl>) {
    match docs {
        Some(docs) => {
            html.fixed("<a href=\"");
            html.text(&docs.page_of(rule));
            html.fixed("\">");
            html.text(rule);
            html.fixed("</a>");
        }
        None => {
            html.fixed("<code>muslin explain ");
            html.text(rule);
            html.fixed("</code>");
        }
    }
}

fn images(html: &mut Markup, images: &[&ImageInUse]) {
    html.fixed("<ul class=\"images\">\n");
    for ImageInUse { image, resolver, evidence, because, pods, .. } in images {
        html.fixed("<li><code>");
        html.text(image);
        html.fixed("</code><div>");
        let evidence = if *evidence == "none" { String::new() } else { format!(" ({evidence})") };
        html.text(&format!("{resolver}{evidence}, {}", counted(*pods, "pod")));
        html.fixed("<p class=\"facts\">");
        html.text(because);
        html.fixed("</p></div></li>\n");
    }
    html.fixed("</ul>\n");
}

fn badges(html: &mut Markup, Counts { deny, warn, info }: Counts) {
    html.fixed("<span class=\"count\">");
    html.text(&format!("{deny} deny, {warn} warn, {info} info"));
    html.fixed("</span>");
}

fn counts<'r>(objects: impl Iterator<Item = &'r ObjectFindings>) -> Counts {
    let mut counts = Counts::default();
    objects.flat_map(|object| &object.findings).for_each(|counted| counts.add(counted.finding.level));
    counts
}

fn worst(object: &ObjectFindings) -> Option<Level> {
    object.findings.iter().map(|counted| counted.finding.level).max()
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

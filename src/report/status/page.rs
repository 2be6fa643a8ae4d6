//! The state of a cluster's DNS as one HTML page, without scripts and requests.

use super::{StatusView, counted, lost, milliseconds};
use crate::doctor;
use crate::policy::Level;
use crate::report::Markup;
use crate::status::{NamespaceGroup, NodeState, NodeWatch, Problem, State, Status};
use crate::text::Block;

/// The most nodes whose observations are on the page in full, the worst first, and the most that are named.
const DETAILED_MAX: usize = 100;
const NAMED_MAX: usize = 2_000;
/// The most nodes that a problem names, and namespaces that a group names.
const NODES_OF_PROBLEM_MAX: usize = 50;
const NAMESPACES_MAX: usize = 200;

/// Returns the page.
pub fn status_page(status: &Status, view: &StatusView) -> Block {
    let mut html = Markup::default();
    head(&mut html, status, view);
    tiles(&mut html, status);
    problems(&mut html, status);
    nodes(&mut html, status);
    nameservers(&mut html, status);
    namespaces(&mut html, status);
    images(&mut html, status);
    muslin(&mut html, status);
    html.fixed("</main>\n</body>\n</html>\n");
    html.into_block()
}

fn head(html: &mut Markup, status: &Status, view: &StatusView) {
    let context = view.context.as_ref().map(|context| format!(" in {context}")).unwrap_or_default();
    html.begin_page(&format!("DNS of the cluster{context}"));
    html.fixed("<header>\n<h1>DNS of the cluster");
    html.text(&context);
    html.fixed("</h1>\n<p>Seen at ");
    html.text(&status.time.strftime("%Y-%m-%d %H:%M UTC").to_string());
    html.fixed(" by muslin ");
    html.text(&view.version);
    html.fixed(
        "</p>\n<nav aria-label=\"Sections\"><a href=\"#problems\">Look at first</a><a href=\"#nodes\">Nodes</a>\
         <a href=\"#nameservers\">Nameservers</a><a href=\"#namespaces\">Namespaces</a><a href=\"#images\">Images</a>\
         <a href=\"#muslin\">muslin</a></nav>\n</header>\n<main>\n",
    );
}

fn tiles(html: &mut Markup, status: &Status) {
    let count = |level| status.problems.iter().filter(|problem| problem.level == level).count();
    let totals = &status.totals;
    html.fixed("<section aria-label=\"Summary\"><ul class=\"tiles\">\n");
    for (number, name, class, meaning) in [
        (count(Level::Deny), "deny", "deny", "lookups fail, or muslin does not work"),
        (count(Level::Warn), "warn", "warn", "something is worse than it should be"),
        (count(Level::Info), "info", "info", "worth knowing"),
        (totals.all, "nodes", "plain", "in all"),
        (totals.healthy, "healthy", "plain", "watched nodes without a verdict"),
        (totals.silent + totals.unwatched, "unwatched", "plain", "nodes without a fresh observation"),
    ] {
        html.tile(class, &number.to_string(), name, meaning);
    }
    if let Some(days) = status.muslin.certificate_days {
        html.tile("plain", &days.to_string(), "days", "until the serving certificate expires");
    }
    html.fixed("</ul></section>\n");
}

fn problems(html: &mut Markup, status: &Status) {
    html.fixed("<section><h2 id=\"problems\">Look at first</h2>\n");
    if status.problems.is_empty() {
        html.element("p", if status.unread.is_empty() { "There is no problem." } else { "No problem is known." });
    } else {
        html.fixed("<ul class=\"findings\">\n");
        status.problems.iter().for_each(|one| problem(html, one));
        html.fixed("</ul>\n");
    }
    if status.problems_left_out > 0 {
        html.element("p", &format!("And {} more.", counted(status.problems_left_out, "problem")));
    }
    if !status.unread.is_empty() {
        html.fixed("<h3>What is not known</h3>\n<ul>\n");
        status.unread.iter().for_each(|sentence| html.element("li", sentence));
        html.fixed("</ul>\n");
    }
    html.fixed("</section>\n");
}

fn problem(html: &mut Markup, problem: &Problem) {
    let Problem { level, title, details, nodes, since, .. } = problem;
    html.fixed("<li>");
    html.badge(level.name());
    html.fixed("<div><p><b>");
    html.text(title);
    html.fixed("</b></p>");
    for detail in details {
        html.fixed("<p class=\"help\">");
        html.text(detail);
        html.fixed("</p>");
    }
    if let Some(since) = since {
        html.fixed("<p class=\"facts\">Since ");
        html.text(&since.strftime("%Y-%m-%d %H:%M UTC").to_string());
        html.fixed("</p>");
    }
    if nodes.len() > 1 {
        html.fixed("<details class=\"advice\"><summary>");
        html.text(&counted(nodes.len(), "node"));
        html.fixed("</summary>\n<p class=\"facts\">");
        names(html, nodes.iter().map(String::as_str), NODES_OF_PROBLEM_MAX);
        html.fixed("</p></details>");
    }
    html.fixed("</div></li>\n");
}

/// Writes names with commas, up to a number.
fn names<'n>(html: &mut Markup, names: impl ExactSizeIterator<Item = &'n str>, most: usize) {
    let more = names.len().saturating_sub(most);
    for (index, name) in names.take(most).enumerate() {
        html.fixed(if index == 0 { "" } else { ", " });
        html.text(name);
    }
    if more > 0 {
        html.text(&format!(" and {more} more"));
    }
}

fn nodes(html: &mut Markup, status: &Status) {
    html.fixed("<section><h2 id=\"nodes\">Nodes</h2>\n");
    let (healthy, others): (Vec<&NodeState>, Vec<_>) =
        status.nodes.iter().partition(|node| matches!(node.state, State::Healthy | State::Foreign));
    if status.nodes.is_empty() {
        html.element("p", "No node is known.");
    }
    for node in others.iter().take(DETAILED_MAX) {
        node_details(html, node, true);
    }
    let rest = others.get(DETAILED_MAX..).unwrap_or_default();
    if !rest.is_empty() {
        html.fixed("<p class=\"clean\">Also: ");
        names(html, rest.iter().map(|node| node.node.as_str()), NAMED_MAX);
        html.fixed("</p>\n");
    }
    if !healthy.is_empty() {
        html.fixed("<details><summary><h3>Without a verdict</h3><span class=\"count\">");
        html.text(&counted(healthy.len(), "node"));
        html.fixed("</span></summary>\n");
        for node in healthy.iter().take(DETAILED_MAX) {
            node_details(html, node, false);
        }
        let rest = healthy.get(DETAILED_MAX..).unwrap_or_default();
        if !rest.is_empty() {
            html.fixed("<p class=\"clean\">Also: ");
            names(html, rest.iter().map(|node| node.node.as_str()), NAMED_MAX);
            html.fixed("</p>\n");
        }
        html.fixed("</details>\n");
    }
    html.fixed("</section>\n");
}

/// Writes a node: its state, its verdicts, and where its nameservers come from.
fn node_details(html: &mut Markup, node: &NodeState, is_card: bool) {
    html.fixed(if is_card { "<details open><summary><h3>" } else { "<article><h4>" });
    html.text(&node.node);
    html.fixed(if is_card { "</h3>" } else { "</h4>" });
    html.fixed("<span class=\"count\">");
    html.fixed(match (node.state, node.ready) {
        (State::Verdict, _) => "verdict",
        (State::Silent, _) => "silent",
        (State::Unwatched, Some(false)) => "unwatched, not ready",
        (State::Unwatched, _) => "unwatched",
        (State::Foreign, _) => "runs no watcher",
        (State::Healthy, _) => "healthy",
    });
    html.fixed(if is_card { "</span></summary>\n" } else { "</span>\n" });
    if let Some(watch) = &node.watch {
        watched(html, watch);
    }
    if !node.search_domains.is_empty() {
        html.fixed("<p class=\"facts\">Search domains: ");
        let domains = node.search_domains.iter().map(|one| format!("{} ({})", one.domain, one.answer));
        html.text(&domains.collect::<Vec<_>>().join(", "));
        html.fixed("</p>\n");
    }
    html.fixed(if is_card { "</details>\n" } else { "</article>\n" });
}

fn watched(html: &mut Markup, watch: &NodeWatch) {
    let time = |time: jiff::Timestamp| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    if !watch.verdicts.is_empty() {
        html.fixed("<ul class=\"findings\">\n");
        for verdict in &watch.verdicts {
            html.fixed("<li>");
            html.badge(verdict.level.parse().unwrap_or(Level::Warn).name());
            html.fixed("<div><p><b>");
            html.text(&verdict.verdict);
            html.fixed("</b> ");
            html.text(&verdict.subject);
            html.fixed("</p><p class=\"help\">");
            html.text(&verdict.text);
            html.fixed("</p><p class=\"facts\">Since ");
            html.text(&time(verdict.since));
            html.fixed("</p></div></li>\n");
        }
        html.fixed("</ul>\n");
    }
    if !watch.origins.is_empty() {
        html.fixed("<p class=\"facts\">The node's nameservers:</p>\n<ul class=\"objects\">\n");
        for origin in &watch.origins {
            let line = origin.line.map(|line| format!(" line {line}")).unwrap_or_default();
            let unused = if origin.in_use { "" } else { ", not in use now" };
            html.fixed("<li><code>");
            html.text(&origin.address);
            html.fixed("</code> from <code>");
            html.text(&format!("{}{line}", origin.file));
            html.fixed("</code> ");
            html.text(&format!("({}, {}{unused})", origin.mechanism, origin.persistence));
            html.fixed("</li>\n");
        }
        html.fixed("</ul>\n");
    }
    html.fixed("<p class=\"facts\">");
    let probed = watch.probed_at.map(|at| format!(", full probe at {}", time(at))).unwrap_or_default();
    html.text(&format!(
        "Pod {}, muslin {}, {}, last at {}{probed}",
        watch.pod,
        watch.version,
        counted(usize::try_from(watch.rounds).unwrap_or_default(), "round"),
        time(watch.checked_at)
    ));
    html.fixed("</p>\n");
}

fn nameservers(html: &mut Markup, status: &Status) {
    html.fixed("<section><h2 id=\"nameservers\">Nameservers that watchers ask</h2>\n");
    if status.nameservers.is_empty() {
        html.element("p", "No watcher asks one.");
    } else {
        html.fixed("<ul class=\"images\">\n");
        for row in &status.nameservers {
            html.fixed("<li><code>");
            html.text(&row.address);
            html.fixed("</code><div>");
            let slowest = row.slowest_node.as_ref().map(|node| format!(" (node {node})")).unwrap_or_default();
            html.text(&format!(
                "{} of {} queries lost from {}; median {}, 99 % within {}{slowest}",
                lost(row.queries, row.lost),
                row.queries,
                counted(row.nodes, "node"),
                milliseconds(row.p50_milliseconds),
                milliseconds(row.p99_milliseconds)
            ));
            html.fixed("</div></li>\n");
        }
        html.fixed("</ul>\n");
    }
    html.fixed("</section>\n");
}

fn namespaces(html: &mut Markup, status: &Status) {
    html.fixed("<section><h2 id=\"namespaces\">Namespaces by mode and profile</h2>\n");
    match status.namespaces.as_deref() {
        None => html.element("p", "Namespaces could not be listed."),
        Some([]) => html.element("p", "There is none."),
        Some(groups) => groups.iter().for_each(|group| namespace_group(html, group)),
    }
    html.fixed("</section>\n");
}

fn namespace_group(html: &mut Markup, group: &NamespaceGroup) {
    html.fixed("<details><summary><h3>");
    html.fixed(group.mode);
    if !group.profile.is_empty() {
        html.text(&format!(", profile {}", group.profile));
    }
    html.fixed("</h3><span class=\"count\">");
    html.text(&counted(group.namespaces.len(), "namespace"));
    html.fixed("</span></summary>\n<p>");
    names(html, group.namespaces.iter().map(String::as_str), NAMESPACES_MAX);
    html.fixed("</p></details>\n");
}

fn images(html: &mut Markup, status: &Status) {
    html.fixed("<section><h2 id=\"images\">Images of unknown resolvers</h2>\n");
    match &status.images {
        None => html.element("p", "Pods were not read."),
        Some(images) => {
            let (all, unknown) = (counted(images.images, "image"), images.unknown_images);
            html.element("p", &format!("{unknown} of {all} in {}.", counted(images.pods, "running pod")));
            if !images.unknown.is_empty() {
                html.fixed("<ul class=\"images\">\n");
                for image in &images.unknown {
                    html.fixed("<li><code>");
                    html.text(&image.image);
                    html.fixed("</code><div>");
                    html.text(&format!("{}, namespace {}", counted(image.pods, "pod"), image.namespace));
                    html.fixed("</div></li>\n");
                }
                html.fixed("</ul>\n");
            }
            if images.unknown_images > images.unknown.len() {
                let more = images.unknown_images - images.unknown.len();
                html.element("p", &format!("And {}.", counted(more, "more image")));
            }
        }
    }
    html.fixed("</section>\n");
}

fn muslin(html: &mut Markup, status: &Status) {
    if status.muslin.checks.is_empty() {
        html.fixed("<section><h2 id=\"muslin\">muslin itself</h2>\n<p>It is not installed.</p>\n</section>\n");
        return;
    }
    html.fixed("<section><h2 id=\"muslin\">muslin itself, in namespace ");
    html.text(&status.muslin.namespace);
    html.fixed("</h2>\n<ul class=\"images\">\n");
    for check in &status.muslin.checks {
        html.fixed("<li><div><b>");
        html.text(check.check);
        html.fixed("</b> ");
        html.fixed(match check.status {
            doctor::Status::Ok => "ok",
            doctor::Status::Warning => "warning",
            doctor::Status::Unknown => "unknown",
            doctor::Status::Wrong => "wrong",
        });
        html.fixed("</div><div>");
        html.text(&check.message);
        html.fixed("</div></li>\n");
    }
    html.fixed("</ul>\n</section>\n");
}

//! Tests of the documentation: generated pages are up to date, links have targets, every rule and verdict is mentioned.

#![expect(clippy::unwrap_used, reason = "a page that cannot be read fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use muslin::cli::contract_parts;
use muslin::doctor::TESTED_KUBERNETES;
use muslin::explain::{Examples, Topic, pages, parts};
use muslin::rules::RULES;
use muslin::verdicts::DIAGNOSES;
use muslin::verdicts::matrix::NETWORK_FAULTS;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use serde_json::Value;

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

fn docs() -> PathBuf {
    Path::new(REPOSITORY).join("docs")
}

/// The pages of a folder and of the folders in it.
fn markdown(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(markdown(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found
}

/// The targets of the links on a page.
fn links(text: &str) -> Vec<String> {
    Parser::new_ext(text, Options::ENABLE_TABLES)
        .filter_map(|event| match event {
            Event::Start(Tag::Link { dest_url, .. }) => Some(dest_url.into_string()),
            _ => None,
        })
        .collect()
}

/// Returns the anchors of a page: its headings, as GitHub writes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let mut heading: Option<String> = None;
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::Text(part) | Event::Code(part) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&part);
                }
            }
            Event::End(TagEnd::Heading(_)) => {
                let text = heading.take().unwrap_or_default().to_lowercase();
                let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
                anchors.insert(kept.map(|c| if c == ' ' { '-' } else { c }).collect());
            }
            _ => {}
        }
    }
    anchors
}

#[test]
fn the_generated_pages_are_up_to_date() {
    let examples = |slug: &str| {
        let folder = Path::new(REPOSITORY).join("tests/rules").join(slug);
        let read = |name| fs::read_to_string(folder.join(name)).ok();
        Examples { fires: read("fires.yaml"), fixed: read("fixed.yaml") }
    };
    let pages = pages(examples);
    for page in &pages {
        let written = fs::read_to_string(docs().join(&page.path)).unwrap_or_default();
        assert!(written == page.text, "docs/{} is out of date: run `cargo run -- docs .`", page.path);
    }
    for path in ["rules", "verdicts", "resolvers"].iter().flat_map(|folder| markdown(&docs().join(folder))) {
        let name = path.strip_prefix(docs()).unwrap();
        assert!(
            pages.iter().any(|page| Path::new(&page.path) == name),
            "docs/{}: no rule, verdict or resolver has this name",
            name.display()
        );
    }
}

#[test]
fn the_generated_parts_of_pages_are_up_to_date() {
    let metrics = fs::read_to_string(docs().join("metrics.md")).unwrap();
    for part in parts().into_iter().chain(contract_parts(&metrics)) {
        let written = fs::read_to_string(docs().join(part.page)).unwrap();
        let made = part.fill(&written);
        assert!(made == Some(written), "docs/{} is not what the code says: run `cargo run -- docs .`", part.page);
    }
}

#[test]
fn the_definitions_of_resources_are_up_to_date() {
    let printed = Command::new(env!("CARGO_BIN_EXE_muslin")).args(["manifests", "crds"]).output().unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    let path = Path::new(REPOSITORY).join("manifests/base/crds.yaml");
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == printed, "{}: replace its content with the output of `muslin manifests crds`", path.display());
}

/// API servers from 1.37 on warn about others (`formats.go` of k8s.io/apiextensions-apiserver).
#[test]
fn the_definitions_of_resources_have_formats_that_kubernetes_knows() {
    let written = fs::read_to_string(Path::new(REPOSITORY).join("manifests/base/crds.yaml")).unwrap();
    let formats: BTreeSet<&str> = written.lines().filter_map(|line| line.trim().strip_prefix("format: ")).collect();
    assert_eq!(formats, BTreeSet::from(["date-time", "int32", "int64"]));
}

#[test]
fn every_link_has_a_target() {
    let others =
        ["README.md", "SECURITY.md", "CHANGELOG.md", "CODE_OF_CONDUCT.md"].map(|page| Path::new(REPOSITORY).join(page));
    for page in markdown(&docs()).into_iter().chain(others) {
        let text = fs::read_to_string(&page).unwrap();
        for link in links(&text).into_iter().filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').map_or((&*link, None), |(file, anchor)| (file, Some(anchor)));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: the target of {link} does not exist", page.display());
            if let Some(anchor) = anchor {
                let anchors = anchors(&fs::read_to_string(&target).unwrap());
                assert!(anchors.contains(anchor), "{}: {link}: no such heading in {anchors:?}", page.display());
            }
        }
    }
}

#[test]
fn the_index_names_every_page() {
    let links = links(&fs::read_to_string(docs().join("README.md")).unwrap());
    for entry in fs::read_dir(docs()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let link = if path.is_dir() { format!("{name}/README.md") } else { name.to_owned() };
        assert!(name == "README.md" || links.contains(&link), "docs/README.md has no link to {link}: add one");
    }
}

#[test]
fn troubleshooting_links_to_every_rule_and_verdict() {
    let links = links(&fs::read_to_string(docs().join("troubleshooting.md")).unwrap());
    for rule in RULES {
        let page = format!("rules/{}.md", rule.slug);
        assert!(
            links.contains(&page),
            "docs/troubleshooting.md has no link to {page}: say when that rule is the cause"
        );
    }
    for diagnosis in DIAGNOSES {
        let page = format!("verdicts/{}.md", diagnosis.slug);
        assert!(
            links.contains(&page),
            "docs/troubleshooting.md has no link to {page}: say when `muslin probe` gives it"
        );
    }
}

/// The cells of each row of the tables on a page, without their heads.
fn rows(text: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let is_row =
        |line: &&str| line.starts_with("| ") && !line.starts_with("|---") && !line.starts_with("| people report");
    text.lines().filter(is_row).map(cells).collect()
}

#[test]
fn each_kind_of_report_has_a_case_with_that_answer() {
    let text = fs::read_to_string(docs().join("field.md")).unwrap();
    let rows = rows(&text);
    assert!(rows.len() > 30, "{rows:?}");
    for row in rows {
        let [_, reported, fix, case] = &row[..] else { panic!("not four cells: {row:?}") };
        let reported = links(reported);
        assert!(!reported.is_empty() && !fix.is_empty(), "{row:?}");
        if let Some(slug) = case.strip_prefix("`tests/rules/").and_then(|case| case.strip_suffix('`')) {
            // The tests of the rules check what each file gives.
            assert!(Path::new(REPOSITORY).join("tests/rules").join(slug).join("fires.yaml").exists(), "{case}");
            assert!(reported.contains(&format!("rules/{slug}.md")), "{row:?}");
        } else {
            let title = case.trim_matches('"');
            let fault = NETWORK_FAULTS.iter().find(|fault| fault.title == title);
            let fault = fault.unwrap_or_else(|| panic!("no fault of the matrix is {title}"));
            for verdict in fault.verdicts {
                assert!(reported.contains(&format!("verdicts/{verdict}.md")), "{row:?} gives {verdict}");
            }
        }
    }
}

/// Asserts that each console block of a page shows lines of a block of the recorded page, in their order; `...` leaves lines out.
fn shows_a_part_of(page: &str, recorded: &str) {
    let blocks = |text: &str| -> Vec<Vec<String>> {
        let blocks = text.split("\n```").skip(1).step_by(2).map(|block| block.lines().skip(1));
        let blocks = blocks.map(|lines| lines.map(|line| line.trim_end().to_owned()).filter(|line| !line.is_empty()));
        blocks
            .map(Iterator::collect::<Vec<_>>)
            .filter(|block| block.first().is_some_and(|line| line.starts_with("$ ")))
            .collect()
    };
    let page_text = fs::read_to_string(Path::new(REPOSITORY).join(page)).unwrap();
    let recorded_text = fs::read_to_string(docs().join(recorded)).unwrap();
    let lines: Vec<String> = blocks(&recorded_text).concat();
    let mut shown = 0;
    for block in blocks(&page_text).into_iter().filter(|block| lines.contains(&block[0])) {
        let mut rest = lines.iter();
        for line in block.iter().filter(|line| *line != "...") {
            assert!(
                rest.any(|recorded| recorded == line),
                "docs/{recorded} lacks this line of {page}, or has another order: {line}"
            );
        }
        shown += 1;
    }
    assert!(shown > 0, "{page} shows nothing of docs/{recorded}");
}

#[test]
fn examples_of_a_cluster_are_parts_of_the_recorded_first_steps() {
    shows_a_part_of("README.md", "first-steps.md");
    shows_a_part_of("docs/operations.md", "first-steps.md");
    let readme = fs::read_to_string(Path::new(REPOSITORY).join("README.md")).unwrap();
    let steps =
        ["$ muslin scan", "$ muslin install", "$ muslin doctor", "muslin.dev/mode=warn", "muslin.dev/mode=inject"];
    let mut rest = readme.as_str();
    for step in steps {
        let found = rest.find(step);
        rest = &rest[found.unwrap_or_else(|| panic!("README.md lacks {step}, or has another order")).max(1)..];
    }
    let check = Command::new(env!("CARGO_BIN_EXE_muslin"))
        .args(["check", "manifests/examples/alpine-pod.yaml"])
        .current_dir(REPOSITORY)
        .output()
        .unwrap();
    for stream in [check.stdout, check.stderr] {
        let text = String::from_utf8(stream).unwrap();
        assert!(
            !text.is_empty() && readme.contains(text.trim_end()),
            "README.md does not show what check prints:\n{text}"
        );
    }
    // The first page comes before anything else that has commands.
    assert!(readme.find("## First steps") < readme.find("```"), "README.md begins with something else");
}

/// Returns the texts of the files of a folder with this extension, and of its folders.
fn sources(folder: &Path, extension: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.extension() {
            None if path.is_dir() => sources(&path, extension),
            Some(found) if found == extension => vec![fs::read_to_string(&path).unwrap()],
            _ => Vec::new(),
        })
        .collect()
}

#[test]
fn the_contract_lists_exactly_the_keys_that_the_code_names() {
    let named: BTreeSet<String> = sources(&Path::new(REPOSITORY).join("src"), "rs")
        .iter()
        .flat_map(|text| text.lines())
        .filter(|line| line.contains("const ") && line.contains(": &str = "))
        .filter_map(|line| Some(line.split_once("= \"")?.1.split('"').next()?.to_owned()))
        .filter(|key| key.starts_with("muslin.dev/") && key.len() > "muslin.dev/".len())
        .collect();
    let page = fs::read_to_string(docs().join("contract.md")).unwrap();
    let listed = page.lines().filter_map(|line| line.strip_prefix("| `muslin.dev/")?.split('`').next());
    let listed: BTreeSet<String> =
        listed.filter(|key| *key != "v1alpha1").map(|key| format!("muslin.dev/{key}")).collect();
    assert!(named.len() > 10, "{named:?}");
    assert_eq!(named, listed);
}

/// The tests run on each release that a `.mod` file pins.
#[test]
fn the_contract_names_the_releases_of_kubernetes_that_the_tests_pin() {
    let page = fs::read_to_string(docs().join("contract.md")).unwrap();
    let folder = Path::new(REPOSITORY).join("tests/cluster/control-plane/kubernetes");
    let pinned: BTreeSet<String> = sources(&folder, "mod")
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(|line| {
            line.trim().strip_prefix("require ").unwrap_or(line.trim()).strip_prefix("k8s.io/kubernetes v")
        })
        .map(|version| format!("v{}", version.split(' ').next().unwrap()))
        .collect();
    let listed: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| v1."))
        .map(|line| format!("v1.{}", line.split(' ').next().unwrap()))
        .collect();
    assert_eq!(pinned, listed);
    let minors = pinned.iter().map(|version| version.split('.').nth(1).unwrap().parse::<u32>().unwrap());
    let (oldest, newest) = (minors.clone().min(), minors.max());
    assert_eq!([oldest, newest].map(Option::unwrap), TESTED_KUBERNETES);
    let chart = fs::read_to_string(Path::new(REPOSITORY).join("charts/muslin/Chart.yaml")).unwrap();
    assert!(chart.contains(&format!("kubeVersion: \">=1.{}.0-0\"", TESTED_KUBERNETES[0])), "{chart}");
}

/// The repository has no public address yet; docs/ci.md asks readers to write theirs.
#[test]
fn one_address_stands_for_the_repository_everywhere() {
    let places = [
        "README.md",
        "SECURITY.md",
        "CHANGELOG.md",
        "CODE_OF_CONDUCT.md",
        "CONTRIBUTING.md",
        "Cargo.toml",
        "action.yml",
    ];
    let mut texts: Vec<(String, String)> = places
        .iter()
        .map(|name| ((*name).to_owned(), fs::read_to_string(Path::new(REPOSITORY).join(name)).unwrap()))
        .collect();
    for (folder, extension) in [("docs", "md"), (".github", "yml"), ("charts", "yaml"), ("scripts", "rb")] {
        let found = sources(&Path::new(REPOSITORY).join(folder), extension);
        texts.extend(found.into_iter().map(|text| (format!("{folder}/*.{extension}"), text)));
    }
    let mut found = 0;
    for (name, text) in &texts {
        for (start, _) in text.match_indices("/muslin") {
            let before = &text[..start];
            if let Some(owner) =
                before.rsplit_once("github.com/").map(|(_, owner)| owner).filter(|owner| is_owner(owner))
            {
                assert_eq!(owner, "example", "{name}: the repository's address is another one");
                found += 1;
            }
        }
    }
    assert!(found >= 3, "{found}");
    assert!(env!("CARGO_PKG_REPOSITORY").ends_with("github.com/example/muslin"));
    assert!(env!("CARGO_PKG_HOMEPAGE").starts_with(env!("CARGO_PKG_REPOSITORY")));
}

fn is_owner(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// The newest version is that of Cargo.toml, each has its day, and what is not released stands on top.
#[test]
fn the_changelog_has_a_section_for_each_version() {
    let text = fs::read_to_string(Path::new(REPOSITORY).join("CHANGELOG.md")).unwrap();
    let mut headings = text.lines().filter_map(|line| line.strip_prefix("## "));
    assert_eq!(headings.next(), Some("Unreleased"));
    let versions: Vec<(&str, &str)> = headings.map(|heading| heading.split_once(" - ").unwrap()).collect();
    assert_eq!(versions[0].0, env!("CARGO_PKG_VERSION"));
    let number = |version: &str| -> Vec<u32> { version.split('.').map(|part| part.parse().unwrap()).collect() };
    assert!(
        versions.is_sorted_by(|newer, older| number(newer.0) > number(older.0) && newer.1 >= older.1),
        "{versions:?}"
    );
    for (version, day) in versions {
        let is_day = day.len() == 10
            && day
                .bytes()
                .enumerate()
                .all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() });
        assert!(is_day, "{version}: {day}");
    }
}

#[test]
fn each_suite_of_others_has_a_section_with_its_last_result() {
    let page = fs::read_to_string(docs().join("conformance.md")).unwrap();
    let (mut suites, mut recorded) = (BTreeSet::new(), BTreeSet::new());
    for entry in fs::read_dir(Path::new(REPOSITORY).join("tests/conformance")).unwrap() {
        let folder = entry.unwrap().path();
        let Ok(program) = fs::read_to_string(folder.join("run")) else { continue };
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(program.lines().nth(1).unwrap().starts_with("# "), "the second line of {name}/run says what it is");
        suites.insert(name);
    }
    for section in page.split("\n## ").skip(1) {
        let name = section.lines().next().unwrap();
        let start = format!("<!-- the last result of {name} -->\n\n");
        let result = section.split_once(&start).and_then(|(_, rest)| rest.split_once("\n\n<!-- end -->"));
        let (result, _) =
            result.unwrap_or_else(|| panic!("{name}: no result: run scripts/conformance --record {name}"));
        // The date, and a line at least.
        assert!(result.starts_with("20") && result.lines().count() > 2, "{name}: {result}");
        recorded.insert(name.to_owned());
    }
    assert_eq!(suites, recorded, "the folders of tests/conformance, and the sections of docs/conformance.md");
}

/// Returns the alert rules of the manifest.
fn alerts() -> Vec<Value> {
    let text = fs::read_to_string(Path::new(REPOSITORY).join("manifests/monitoring/prometheus-rule.yaml")).unwrap();
    let resource: Value = serde_saphyr::from_str(&text).unwrap();
    resource["spec"]["groups"][0]["rules"].as_array().unwrap().clone()
}

#[test]
fn every_alert_waits_and_has_a_page_that_exists() {
    let list = fs::read_to_string(docs().join("alerts/README.md")).unwrap();
    let code = sources(&Path::new(REPOSITORY).join("src"), "rs").concat();
    let alerts = alerts();
    for alert in &alerts {
        let name = alert["alert"].as_str().unwrap();
        assert!(
            alert["for"].as_str().is_some_and(|wait| wait != "0m" && wait.ends_with('m')),
            "{name}: {}",
            alert["for"]
        );
        let page = alert["annotations"]["runbook_url"].as_str().unwrap();
        assert_eq!(page, format!("docs/alerts/{name}.md"));
        let text = fs::read_to_string(Path::new(REPOSITORY).join(page)).unwrap_or_default();
        assert!(text.starts_with(&format!("# {name}\n")), "{page}");
        for part in ["impact", "diagnosis", "fix"] {
            assert!(anchors(&text).contains(part), "{page} has no part {part}");
        }
        for quoted in text.split("has the line `").skip(1).filter_map(|rest| rest.split('`').next()) {
            assert!(code.contains(quoted), "{page}: muslin never logs {quoted:?}");
        }
        let severity = alert["labels"]["severity"].as_str().unwrap();
        assert!(list.contains(&format!("| [{name}]({name}.md) | {severity} |\n")), "{name} is not in the list");
        assert_eq!(Topic::find(name).map(|topic| topic.kind()), Ok("alert"), "{name}");
    }
    // The list is a page, too.
    assert_eq!(markdown(&docs().join("alerts")).len(), alerts.len() + 1);
}

#[test]
fn every_panel_of_the_dashboard_has_a_unit_and_a_description() {
    /// Grafana's names of the units (grafana/grafana packages/grafana-data/src/valueFormats/categories.ts).
    const UNITS: [&str; 8] = ["short", "reqps", "cps", "s", "d", "bytes", "percentunit", "bool_yes_no"];
    let text = fs::read_to_string(Path::new(REPOSITORY).join("manifests/monitoring/dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut stats = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for panel in panels {
        let title = panel["title"].as_str().unwrap();
        let place = &panel["gridPos"];
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| place[side].as_u64().unwrap());
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(cell.0 < 24 && taken.insert(cell), "{title} lies on another panel");
        }
        if panel["type"] == "row" {
            continue;
        }
        let defaults = &panel["fieldConfig"]["defaults"];
        assert!(
            UNITS.contains(&defaults["unit"].as_str().unwrap_or_default()),
            "{title} has the unit {}",
            defaults["unit"]
        );
        assert!(panel["description"].as_str().is_some_and(|text| !text.is_empty()), "{title}");
        if panel["type"] == "stat" {
            stats.insert(title);
            assert!(defaults["thresholds"]["steps"].as_array().is_some_and(|steps| !steps.is_empty()), "{title}");
        }
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap();
            assert!(query.contains(r#"cluster=~"$cluster""#), "{title} does not follow the variables: {query}");
            let of_replicas = query.contains(r#"namespace=~"$namespace",pod=~"$replica""#);
            let of_nodes = query.contains(r#"namespace=~"$namespace",node=~"$node""#);
            assert!(
                of_replicas || of_nodes || query.contains("apiserver_"),
                "{title} does not follow the variables: {query}"
            );
        }
    }
    for wanted in ["Pods reviewed", "Pods changed", "Pods missed", "Pods denied", "Certificate days left"] {
        assert!(stats.contains(wanted), "no stat panel {wanted}");
    }
    let variables: Vec<_> = dashboard["templating"]["list"].as_array().unwrap().iter().collect();
    for name in ["cluster", "namespace", "replica", "node"] {
        assert!(variables.iter().any(|variable| variable["name"] == name), "no variable {name}");
    }
}

//! A line of resolv.conf, search or options, is longer than a container's resolver reads.
//!
//! ## Why it matters
//! musl reads a line into 256 bytes and skips a longer one without a word (musl `src/network/resolvconf.c`; measured: 254
//! bytes are read, 255 are not). A search list of over 247 bytes is then no search list at all, so that `my-service` fails where
//! it resolves on glibc; an options line of over 254 takes `ndots`, `timeout` and `attempts` with it. glibc before 2.26 reads
//! six search names and 255 bytes (glibc 3f853f22c8), uClibc what fits into 119 bytes (`libc/inet/resolv.c`, not measured). The
//! API server allows 32 names and 2048 bytes. The node may add search names of its own, which are not counted here.
//!
//! ## How to mend it
//! Drop search names until the rest fits, longest first, and write the names they served in full. Where the options line is too
//! long, remove the options that this resolver ignores.

use std::collections::HashMap;

use super::subject::{option_path, search_path};
use super::{Container, Findings, Rule, Subject};
use crate::policy::Level;
use crate::resolver::{Family, Resolver, glibc, musl, search_domains_read, uclibc};

pub(super) static RULE: Rule =
    Rule { slug: "search-line-too-long", level: Level::Warn, source: include_str!("search_line_too_long.rs"), check };

/// What is wrong with a list for one resolver, at its `index`.
#[derive(Clone)]
struct Fault {
    index: usize,
    level: Level,
    message: String,
    help: String,
}

fn check(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    search_lines(subject, findings);
    options_line(subject, findings);
}

fn search_lines(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    let mut of_the_file: HashMap<Resolver, Option<Fault>> = HashMap::new();
    for container in subject.containers {
        let resolver = container.resolver();
        if let Some(own) = container.env_searches() {
            if let Some(Fault { index: _, level, message, help }) = fault(resolver, &own) {
                findings.container(container, container.env_path(), message, help).level(level);
            }
            continue;
        }
        let fault = of_the_file.entry(resolver).or_insert_with(|| fault(resolver, subject.searches())).clone();
        if let Some(Fault { index, level, message, help }) = fault {
            findings.container(container, place(subject, index), message, help).level(level);
        }
    }
}

/// Where search name `index` of resolv.conf stands in the pod; what is not there comes from the policy.
fn place(subject: &Subject<'_>, index: usize) -> String {
    let name = &subject.conf.searches[index];
    subject.dns.searches.iter().position(|search| search == name).map_or_else(|| "/spec/dnsPolicy".to_owned(), search_path)
}

/// What this resolver leaves out of a search list, and from where on.
fn fault(resolver: Resolver, search: &[&str]) -> Option<Fault> {
    let read = search_domains_read(resolver, search);
    let bytes = length(search);
    let over = |most: usize| search.iter().scan(0, |end, name| {
        *end += name.len() + 1;
        Some(*end - 1)
    }).position(|end| end > most);
    let fits_in = |most: usize| format!("shorten dnsConfig.searches to {most} bytes in all: {} too many", bytes - most);
    match resolver.family {
        Family::Musl if resolver.version.is_some_and(|release| release < musl::SEARCH_SINCE) => None,
        Family::Musl => over(musl::SEARCH_LIST_MAX).map(|index| Fault {
            index,
            level: Level::Warn,
            message: format!("{resolver} drops a search list of {bytes} bytes (over {}): short names fail", musl::SEARCH_LIST_MAX),
            help: fits_in(musl::SEARCH_LIST_MAX),
        }),
        Family::Uclibc => (read < search.len()).then(|| Fault {
            index: read,
            level: Level::Warn,
            message: format!("{resolver} reads only {read} of the {} search names", search.len()),
            help: fits_in(uclibc::SEARCH_LIST_MAX),
        }),
        Family::Glibc => {
            // Of a release that is not known it may be true.
            let oldest = Family::Glibc.at(glibc::OLDEST_IN_IMAGES);
            let (read, level, who) = match resolver.version {
                Some(_) => (read, Level::Warn, resolver.to_string()),
                None => (search_domains_read(oldest, search), Level::Info, format!("glibc before {}", glibc::LONG_SEARCH_SINCE)),
            };
            let (names, most) = glibc::OLD_SEARCH_MAX;
            (read < search.len()).then(|| Fault {
                index: read,
                level,
                message: format!("{who} reads only {read} of the {} search names", search.len()),
                help: format!("keep to {names} search names and {most} bytes, or use an image with a newer glibc"),
            })
        }
        Family::Go | Family::CAres | Family::Static | Family::Unknown => None,
    }
}

/// How long the list is in bytes, with a space between each two names.
fn length(search: &[&str]) -> usize {
    search.iter().map(|name| name.len() + 1).sum::<usize>().saturating_sub(1)
}

fn options_line(subject: &Subject<'_>, findings: &mut Findings<'_>) {
    let bytes = subject.conf.options_line_len();
    if bytes <= musl::LINE_MAX {
        return;
    }
    let longest = subject.authored_options().iter().max_by_key(|(_, text)| text.len());
    let path = longest.map_or_else(|| "/spec/dnsConfig/options".to_owned(), |(index, _)| option_path(*index));
    for container in subject.using(Family::Musl).filter(|container| reads_whole_lines(container)) {
        let resolver = container.resolver();
        let message =
            format!("{resolver} drops an options line of {bytes} bytes (over {}), ndots with it", musl::LINE_MAX);
        findings.container(container, &*path, message, "remove the options that musl ignores: all but ndots, timeout, attempts");
    }
}

/// musl before 1.1.13 cuts a line where newer ones drop it.
fn reads_whole_lines(container: &Container<'_>) -> bool {
    container.resolver().version.is_none_or(|release| release >= musl::SEARCH_SINCE)
}

#[cfg(test)]
mod tests {
    use crate::pod::Policy;
    use crate::policy::Level;
    use crate::resolver::{Family, Version};
    use crate::rules::tests::{Case, fires, says};

    /// A search name of so many bytes.
    fn name(bytes: usize) -> String {
        "x".repeat(bytes)
    }

    /// The cluster's three names in the namespace `default`, and the space behind each.
    const CLUSTER: usize = "default.svc.cluster.local svc.cluster.local cluster.local ".len();

    #[test]
    fn fires_one_byte_over_what_musl_reads_and_not_one_under() {
        for (bytes, fired) in [(247, 0), (248, 1)] {
            let pod = Case::pod("alpine:3.19").searches([&name(bytes - CLUSTER)]);
            assert_eq!(fires("search-line-too-long", pod).len(), fired, "{bytes}");
            let alone = Case::pod("alpine:3.19").policy(Policy::None).searches([&name(bytes)]);
            assert_eq!(fires("search-line-too-long", alone).len(), fired, "{bytes} alone");
        }
    }

    #[test]
    fn points_at_the_name_that_is_too_much_and_says_by_how_much() {
        let pod = Case::pod("alpine:3.19").searches(["a.test", &name(200), "b.test"]);
        let findings = fires("search-line-too-long", pod);
        assert_eq!(findings[0].path, "/spec/dnsConfig/searches/1");
        assert_eq!(findings[0].message, "musl 1.2.4 drops a search list of 272 bytes (over 247): short names fail");
        assert_eq!(findings[0].help, "shorten dnsConfig.searches to 247 bytes in all: 25 too many");
    }

    #[test]
    fn uclibc_and_old_glibc_have_limits_of_their_own() {
        let seven = ["a", "b", "c", "d", "e", "f", "g"];
        let glibc =
            |minor| Case::declared(Family::Glibc.at(Version::new(2, minor, 0))).policy(Policy::None).searches(seven);
        assert_eq!(
            says("search-line-too-long", glibc(25)),
            [(Level::Warn, "glibc 2.25.0 reads only 6 of the 7 search names".to_owned())]
        );
        assert!(fires("search-line-too-long", glibc(26)).is_empty());
        assert_eq!(
            says("search-line-too-long", Case::pod("debian:9").policy(Policy::None).searches(seven)),
            [(Level::Info, "glibc before 2.26.0 reads only 6 of the 7 search names".to_owned())]
        );
        let uclibc = Case::pod("busybox:1.28").searches([&name(119 - CLUSTER), "b.test"]);
        assert_eq!(
            says("search-line-too-long", uclibc),
            [(Level::Warn, "uclibc reads only 4 of the 5 search names".to_owned())]
        );
    }

    #[test]
    fn silent_on_musl_that_never_searches_and_on_resolvers_without_a_limit() {
        for image in ["alpine:3.3", "debian:12", "gcr.io/distroless/static", "example.com/app:1"] {
            let pod = Case::pod(image).searches([&name(300)]);
            let warned = says("search-line-too-long", pod).into_iter().any(|(level, _)| level >= Level::Warn);
            assert!(!warned, "{image}");
        }
    }

    #[test]
    fn looks_at_the_list_of_the_environment_where_that_counts() {
        let glibc = Family::Glibc.at(Version::new(2, 17, 0));
        let pod = Case::declared(glibc).env("LOCALDOMAIN", "a b c d e f g");
        assert_eq!(fires("search-line-too-long", pod)[0].path, "/spec/containers/0/env");
        let replaced = Case::declared(glibc).searches(["a", "b", "c", "d"]).env("LOCALDOMAIN", "a.test");
        assert!(fires("search-line-too-long", replaced).is_empty());
    }

    #[test]
    fn fires_on_an_options_line_that_musl_drops() {
        for (bytes, fired) in [(254, 0), (255, 1)] {
            let option = name(bytes - "options ndots:5 ".len());
            let findings = fires("search-line-too-long", Case::pod("alpine:3.19").option(&option, None));
            assert_eq!(findings.len(), fired, "{bytes}");
        }
        let findings = fires("search-line-too-long", Case::pod("alpine:3.19").option(&name(300), None));
        assert_eq!(findings[0].message, "musl 1.2.4 drops an options line of 316 bytes (over 254), ndots with it");
        assert!(fires("search-line-too-long", Case::pod("alpine:3.3").option(&name(300), None)).is_empty());
        assert!(fires("search-line-too-long", Case::pod("debian:12").option(&name(300), None)).is_empty());
    }
}

//! A line of resolv.conf, search or options, is longer than a container's resolver reads.
//!
//! ## Why it matters
//! musl reads a line into 256 bytes and silently skips a longer one (musl `src/network/resolvconf.c`; measured: 254 bytes are read,
//! 255 are not). musl ignores a search list of over 247 bytes completely, so `my-service` fails, which resolves on glibc. An options
//! line of over 254 bytes loses `ndots`, `timeout` and `attempts`. glibc before 2.26 reads six search names and 255 bytes (glibc
//! 3f853f22c8), uClibc reads 119 bytes (`libc/inet/resolv.c`, not measured). The API server allows 32 names and 2048 bytes. The node
//! may add search names of its own, which are not counted here.
//!
//! ## How to fix it
//! Remove search names until the rest fits, longest first, and write the names they served in full. If the options line is too long,
//! remove the options that this resolver ignores.

use super::event_reason::EventReason;
use super::rule::{Findings, Rule, Texts};
use super::rule_input::{Container, RuleInput, option_path, search_path};
use crate::policy::Level;
use crate::resolver::{Family, Resolver, glibc, musl, search_domains_read, uclibc};

pub(super) static RULE: Rule = Rule {
    slug: "search-line-too-long",
    level: Level::Warn,
    reason: EventReason::DnsSearch,
    can_break_names: false,
    source: include_str!("search_line_too_long.rs"),
    check,
};

/// A search list that is too long for one resolver.
#[derive(Clone)]
struct Excess {
    /// The index of the first name that is not read.
    index: usize,
    level: Level,
    message: String,
    change: String,
    help: String,
}

fn check(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    search_lines(input, findings);
    options_line(input, findings);
}

fn search_lines(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    if input.containers.is_empty() {
        // An image with musl may not be among the containers, so that this is advice.
        if let Some(excess) = Excess::of(Family::Musl.unversioned(), input.searches()) {
            let Excess { index, level: _, message, change, help } = excess;
            let path = search_name_path(input, index);
            findings.at(Level::Info).pod(path, || Texts { message, change, help });
        }
        return;
    }
    let in_file =
        |resolver| Excess::of(resolver, input.searches()).map(|excess| (search_name_path(input, excess.index), excess));
    for (container, in_file) in input.judge(in_file) {
        let excess = match container.env_searches() {
            Some(own) => Excess::of(container.resolver(), &own).map(|excess| (container.env_path(), excess)),
            None => in_file,
        };
        if let Some((path, Excess { index: _, level, message, change, help })) = excess {
            findings.at(level).container(container, path, || Texts { message, change, help });
        }
    }
}

/// Returns the path of search name `index` of resolv.conf in the pod; a name that is not in the pod comes from the policy.
fn search_name_path(input: &RuleInput<'_>, index: usize) -> String {
    let name = input.searches()[index];
    let index = input.dns.searches.iter().position(|search| search == name);
    index.map_or_else(|| "/spec/dnsPolicy".to_owned(), search_path)
}

// === impl Excess ===

impl Excess {
    /// Returns the part of a search list that this resolver does not read.
    fn of(resolver: Resolver, search: &[&str]) -> Option<Self> {
        match resolver.family {
            Family::Musl => Self::of_musl(resolver, search),
            Family::Glibc => Self::of_glibc(resolver, search),
            Family::Uclibc => Self::cut(resolver, search).map(|cut| Self {
                change: format!("shorten the search list to {} bytes", uclibc::SEARCH_LIST_MAX),
                help: format!("shorten the search list to {} bytes", uclibc::SEARCH_LIST_MAX),
                ..cut
            }),
            Family::Go | Family::CAres | Family::Static | Family::Unknown => None,
        }
    }

    /// musl reads the whole list or nothing.
    fn of_musl(resolver: Resolver, search: &[&str]) -> Option<Self> {
        if resolver.version.is_some_and(|release| release < musl::SEARCH_SINCE) {
            return None; // these releases never search
        }
        let most = musl::SEARCH_LIST_MAX;
        let ends = search.iter().scan(0, |next, name| {
            *next += name.len() + 1;
            Some(*next - 1)
        });
        let bytes = ends.clone().last().unwrap_or(0);
        let index = ends.clone().position(|end| end > most)?;
        Some(Self {
            index,
            level: Level::Warn,
            message: format!("{resolver} drops a search list of {bytes} bytes (over {most}): short names fail"),
            change: format!("shorten the search list by {} bytes", bytes - most),
            help: format!("shorten the search list to {most} bytes: {} too many", bytes - most),
        })
    }

    /// A glibc of an unknown release may be an old one.
    fn of_glibc(resolver: Resolver, search: &[&str]) -> Option<Self> {
        let (names, bytes) = glibc::OLD_SEARCH_MAX;
        let help = || format!("keep to {names} search names and {bytes} bytes, or use an image with a newer glibc");
        let change = || format!("keep to {names} search names, {bytes} bytes");
        if resolver.version.is_some() {
            return Self::cut(resolver, search).map(|cut| Self { change: change(), help: help(), ..cut });
        }
        let old = Self::cut(Family::Glibc.at(glibc::OLDEST_IN_IMAGES), search)?;
        let message = format!(
            "glibc before {}.{} reads only {} of the {} search names",
            glibc::LONG_SEARCH_SINCE.major,
            glibc::LONG_SEARCH_SINCE.minor,
            old.index,
            search.len()
        );
        Some(Self { level: Level::Info, message, change: change(), help: help(), ..old })
    }

    /// The names at the end that are not read whole.
    fn cut(resolver: Resolver, search: &[&str]) -> Option<Self> {
        let read = search_domains_read(resolver, search);
        (read < search.len()).then(|| Self {
            index: read,
            level: Level::Warn,
            message: format!("{resolver} reads only {read} of the {} search names", search.len()),
            change: String::new(),
            help: String::new(),
        })
    }
}

/// The advice on an options line that is too long.
const HELP: &str = "remove the options that musl ignores: all but ndots, timeout and attempts";

fn options_line(input: &RuleInput<'_>, findings: &mut Findings<'_>) {
    let bytes = input.conf.options_line_len();
    if bytes <= musl::LINE_MAX {
        return;
    }
    let longest = input.authored_options().iter().max_by_key(|(_, text)| text.len());
    let path = longest.map_or_else(|| "/spec/dnsConfig/options".to_owned(), |(index, _)| option_path(*index));
    for container in input.using(Family::Musl).filter(|container| reads_whole_lines(container)) {
        let resolver = container.resolver();
        let most = musl::LINE_MAX;
        let message = || format!("{resolver} drops an options line of {bytes} bytes (over {most}), ndots with it");
        let texts = || Texts { message: message(), change: "remove the options that musl ignores", help: HELP };
        findings.container(container, path.clone(), texts);
    }
}

/// musl before 1.1.13 cuts a line that newer releases drop.
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
        assert_eq!(findings[0].help, "shorten the search list to 247 bytes: 25 too many");
    }

    #[test]
    fn uclibc_and_old_glibc_have_limits_of_their_own() {
        let seven = ["a", "b", "c", "d", "e", "f", "g"];
        let glibc =
            |minor| Case::declared(Family::Glibc.at(Version::new(2, minor, 0))).policy(Policy::None).searches(seven);
        assert_eq!(
            says("search-line-too-long", glibc(25)),
            [(Level::Warn, "glibc 2.25 reads only 6 of the 7 search names".to_owned())]
        );
        assert!(fires("search-line-too-long", glibc(26)).is_empty());
        assert_eq!(
            says("search-line-too-long", Case::pod("debian:9").policy(Policy::None).searches(seven)),
            [(Level::Info, "glibc before 2.26 reads only 6 of the 7 search names".to_owned())]
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

    #[test]
    fn is_advice_where_no_container_is_known() {
        let findings = fires("search-line-too-long", Case::settings().searches([&name(300)]));
        assert_eq!((findings.len(), findings[0].level), (1, Level::Info));
        assert!(findings[0].message.starts_with("musl drops a search list"), "{}", findings[0].message);
    }
}

//! A nameserver never answers, or one of the servers behind it does not.
//!
//! ## Symptoms
//! glibc and Go ask the nameservers of resolv.conf one after the other. With the first of two dead and Kubernetes' options, glibc
//! takes 20 s for a name that the whole search list is tried for (measured). musl asks all at once, which hides the dead one.
//! Behind CoreDNS's `forward . /etc/resolv.conf`, a share of external lookups fails or is slow, while the cluster's names, which
//! CoreDNS knows itself, always work.
//!
//! ## Detection
//! The probe asks each nameserver for the same names by UDP and by TCP. A nameserver is dead if it answers nothing while others do.
//! For servers behind the nameservers, the probe asks for names that do not exist, so that no cache can answer. The share of them
//! that fails, is refused or takes over a second is compared with queries for the first cluster's name (Fisher's exact test), where an
//! error counts as a failure too: a server that fails everything gets `nothing-resolves` or `name-fails`. At least two domains
//! must be affected, so that a single domain with broken servers does not count. If everything is equally slow, the verdict is
//! `slow-server`.
//!
//! ## What to do
//! Remove the dead address from the place that names it: the node's resolv.conf, the kubelet's `--cluster-dns`, the pod's
//! `dnsConfig`, or CoreDNS's `forward`. CoreDNS uses the node's file as it was when its pod was created, so restart its pods after
//! a change (`kubectl -n kube-system rollout restart deployment coredns`).
//!
//! `muslin probe --root DIR` searches the files of a node for the place: `/` on the node itself, or its file system mounted in a pod
//! (`manifests/probe-node.yaml`). It reads the files of resolvconf, openresolv, systemd-resolved, systemd-networkd, NetworkManager,
//! ifcfg, netconfig, netplan, ifupdown, dhclient, dhcpcd, cloud-init, Talos and the kernel's command line, and follows the kubelet's
//! `resolvConf`. For each address it shows file, line and program, if the address comes back after a reboot, and what to do. With
//! `--origins-only` it sends no query. A file that it may not read is named.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::policy::Level;
use crate::verdicts::dead_servers::{dead_servers, is_found_elsewhere, origins, silence};
use crate::verdicts::failures::Cause;
use crate::verdicts::observations::{AskedQuery, Code, Half, Observations, Purpose, QueryOutcome, Via};
use crate::verdicts::profile_effects::{Failure, ProfileEffects};
use crate::verdicts::statistics::Rate;
use crate::verdicts::verdict::{Confidence, Diagnosis, Verdict, list};

pub(super) static DIAGNOSIS: Diagnosis =
    Diagnosis { slug: "stale-nameserver", source: include_str!("stale_nameserver.rs"), check };

/// A slower answer came on a second try: CoreDNS's `forward` gives a server up to 2 s.
pub(super) const SLOW: Duration = Duration::from_secs(1);

/// The failed lookups that servers behind a nameserver cause.
const OF_UPSTREAMS: &[Cause] =
    &[Cause::Error, Cause::Sometimes, Cause::Silence, Cause::Search, Cause::Resolver, Cause::GivenUp];

fn check(seen: &Observations) -> Option<Verdict> {
    let alive: Vec<SocketAddr> = seen.answering_servers().collect();
    let dead: Vec<SocketAddr> = dead_servers(seen).filter(|server| !is_special(*server)).collect();
    if !dead.is_empty() && dead.len() == seen.targets.servers.len() {
        return Some(all_dead(seen, &dead));
    }
    if !dead.is_empty() && !alive.is_empty() {
        return Some(some_dead(seen, &dead, &alive));
    }
    seen.answering_servers().find_map(|server| check_upstreams(seen, server))
}

/// Returns whether silence of this server has a verdict of its own.
fn is_special(server: SocketAddr) -> bool {
    server.ip().to_canonical().is_loopback() || Observations::is_link_local(server)
}

fn all_dead(seen: &Observations, dead: &[SocketAddr]) -> Verdict {
    let rest = if is_found_elsewhere(seen) { "" } else { ": no name resolves here" };
    let verdict = Verdict::new(
        &DIAGNOSIS,
        Level::Deny,
        Confidence::Certain,
        format!("{} answers neither by UDP nor by TCP{rest}", list(dead.iter().map(SocketAddr::ip))),
    );
    dead.iter()
        .fold(verdict, |verdict, server| verdict.evidence(silence(seen, *server)))
        .help("check that the address is right, that NetworkPolicies and firewalls let this pod reach port 53, and that the DNS \
               service has endpoints (`kubectl -n kube-system get endpointslices -l k8s-app=kube-dns`)")
        .profile_effects(ProfileEffects::none("options cannot make a server answer"))
        .explains_all(Cause::ALL)
}

fn some_dead(seen: &Observations, dead: &[SocketAddr], alive: &[SocketAddr]) -> Verdict {
    let servers = &seen.targets.servers;
    let first = servers.iter().take_while(|server| dead.contains(server)).count();
    let what = format!(
        "{}, {} of {} nameservers, never answers",
        list(dead.iter().map(SocketAddr::ip)),
        dead.len(),
        servers.len()
    );
    let dead_origins: Vec<String> = dead.iter().flat_map(|server| origins(seen, server.ip())).collect();
    let verdict = Verdict::new(&DIAGNOSIS, Level::Warn, Confidence::Certain, what);
    let verdict = dead.iter().fold(verdict, |verdict, server| verdict.evidence(silence(seen, *server)));
    let verdict = alive.iter().fold(verdict, |verdict, server| {
        let rate = Rate::count(seen.plain_queries(*server, Via::Udp), |asked| asked.is_answered());
        verdict.evidence(format!("{} answers {} of {} by UDP", server.ip(), rate.hits, rate.total))
    });
    let verdict = verdict
        .explains_all(&[Cause::Silence, Cause::Search, Cause::Resolver, Cause::GivenUp])
        .evidence_if((first == 0).then(|| "the dead server is not the first: glibc and Go use it only if those before it fail".to_owned()))
        .evidence_if(named_by_node(seen, dead))
        .help_if(dead_origins.is_empty().then(|| {
            "remove it from the place that names it: the node's resolv.conf, the kubelet's --cluster-dns, or the pod's dnsConfig"
                .to_owned()
        }));
    let verdict = dead_origins.into_iter().fold(verdict, Verdict::help);
    let is_closed = |server: &&SocketAddr| {
        let mut asked = seen.plain_queries(**server, Via::Udp);
        asked.all(|asked| asked.outcome == QueryOutcome::PortClosed)
    };
    match u32::try_from(first) {
        Ok(_) if dead.iter().all(|server| is_closed(&server)) => verdict
            .profile_effects(ProfileEffects::none("the port is closed, so resolvers go on to the next server at once")),
        Ok(first) if first > 0 => {
            verdict.profile_effects(ProfileEffects::compute(seen, Failure::DeadFirstServers(first)))
        }
        _ => {
            verdict.profile_effects(ProfileEffects::none("no resolver waits for it while the servers before it answer"))
        }
    }
}

/// Returns the dead addresses that the node's resolv.conf also names.
fn named_by_node(seen: &Observations, dead: &[SocketAddr]) -> Option<String> {
    let node = seen.environment.node_nameservers.as_ref()?;
    let also: Vec<String> = dead.iter().map(|server| server.ip().to_string()).filter(|ip| node.contains(ip)).collect();
    (!also.is_empty()).then(|| format!("the node's own resolv.conf also names {}", list(also)))
}

// === servers behind the nameservers ===

/// Returns whether a query that a nameserver forwards failed, or was slow.
fn is_bad(asked: &AskedQuery) -> bool {
    match &asked.outcome {
        QueryOutcome::Answer(answer) => matches!(answer.code, Code::ServFail | Code::Refused) || asked.took >= SLOW,
        _ => true,
    }
}

/// Returns how often queries for A of the first name of the cluster fail or are slow. Invented names are queried for A too.
fn bad_cluster_names(seen: &Observations, server: SocketAddr) -> Rate {
    if seen.targets.names.is_empty() {
        return Rate::default();
    }
    let is_bad_half = |half: Half| !matches!(half, Half::Answered(took, Code::NoError | Code::NxDomain) if u128::from(took) < SLOW.as_millis());
    seen.first_name_rate(server, is_bad, is_bad_half)
}

/// Returns whether the first name of the cluster has an address.
fn cluster_resolves(seen: &Observations, server: SocketAddr) -> bool {
    let Some(name) = seen.targets.names.first() else { return false };
    seen.queries_for(server, name, Via::Udp).any(|asked| !asked.addresses().is_empty())
}

/// Returns the domain below which a name was invented.
fn domain(name: &str) -> &str {
    name.split_once('.').map_or("", |(_, domain)| domain)
}

fn check_upstreams(seen: &Observations, server: SocketAddr) -> Option<Verdict> {
    let invented: Vec<&AskedQuery> = seen.asked_for(Purpose::Invented).filter(|asked| asked.server == server).collect();
    let outside = Rate::count(invented.iter(), |asked| is_bad(asked));
    let inside = bad_cluster_names(seen, server);
    let domains: BTreeSet<&str> =
        invented.iter().filter(|asked| is_bad(asked)).map(|asked| domain(&asked.name)).collect();
    // If all are answered but slow, the verdict is slow-server.
    let all_answered = invented.iter().all(|asked| asked.is_conclusive());
    let all_slow = outside.hits == outside.total && all_answered;
    if !outside.exceeds(inside) || domains.len() < 2 || all_slow {
        return None;
    }
    // An answer for an existing name can come from a cache, and none of these for invented names.
    let found = seen.asked_for(Purpose::External).any(|asked| asked.server == server && !asked.addresses().is_empty());
    let whole = outside.hits == outside.total;
    let resolves = cluster_resolves(seen, server);
    let what = match (whole, found) {
        (true, false) => format!("no external name resolves through {}", server.ip()),
        (true, true) => format!("no external name that is not in a cache resolves through {}", server.ip()),
        (false, _) => format!(
            "{} % of the external names fail or take over {} s through {}",
            (outside.share() * 100.0).round(),
            SLOW.as_secs(),
            server.ip()
        ),
    };
    let what = match (whole, resolves) {
        (_, false) => what,
        (true, true) => format!("{what}, while the cluster's names do"),
        (false, true) => format!("{what}, while the cluster's names do not"),
    };
    let level = if invented.iter().any(|asked| !asked.is_conclusive()) { Level::Deny } else { Level::Warn };
    let confidence = if whole { Confidence::Likely } else { Confidence::Certain };
    let verdict = Verdict::new(&DIAGNOSIS, level, confidence, what)
        .evidence(format!("invented names below {}: {outside} failed or slow", list(&domains)))
        .evidence(list(outcomes(&invented)))
        .evidence(format!("A of {}, at the same time: {inside} failed or slow", list(seen.targets.names.first())))
        .explains(seen.targets.external_names.clone(), OF_UPSTREAMS);
    let verdict = upstream_answers(seen).into_iter().fold(verdict, Verdict::evidence);
    let verdict = verdict.evidence_if(node_nameservers_now(seen));
    let verdict = upstream_origins(seen).into_iter().fold(verdict, Verdict::help);
    let verdict = verdict
        .help("find the server that does not answer among those that this nameserver forwards to: for CoreDNS, those of `forward` in \
               its Corefile; with `forward . /etc/resolv.conf`, those that the node's file had when CoreDNS's pod was created")
        .help("fix the node's resolv.conf or the Corefile, then restart CoreDNS: `kubectl -n kube-system rollout restart \
               deployment coredns`");
    Some(verdict.profile_effects(ProfileEffects::none(
        "the failing server is behind the nameserver, out of reach of a pod's options",
    )))
}

/// Returns `3 got no answer`, `4 got SERVFAIL`, `2 took over 1 s`.
fn outcomes(asked: &[&AskedQuery]) -> Vec<String> {
    let count = |is_so: &dyn Fn(&AskedQuery) -> bool| asked.iter().filter(|asked| is_so(asked)).count();
    let counts = [
        (count(&|asked| !asked.is_answered()), "got no answer"),
        (count(&|asked| asked.code() == Some(Code::ServFail)), "got SERVFAIL"),
        (count(&|asked| asked.code() == Some(Code::Refused)), "got REFUSED"),
        (count(&|asked| asked.is_conclusive() && asked.took >= SLOW), "took over 1 s"),
        (count(&|asked| asked.is_conclusive() && asked.took < SLOW), "were answered at once"),
    ];
    counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect()
}

/// Returns what each known server behind the nameservers answers.
fn upstream_answers(seen: &Observations) -> Vec<String> {
    let asked_of = |address: &str| {
        let of = seen.asked_for(Purpose::Upstream).filter(|asked| asked.server.ip().to_string() == address);
        Rate::count(of, |asked| asked.is_conclusive())
    };
    let upstreams = seen.environment.upstreams.iter();
    upstreams
        .map(|upstream| {
            let rate = asked_of(&upstream.address);
            let answers = if rate.total == 0 {
                "not queried (--upstream queries it)".to_owned()
            } else {
                format!("answers {} of {}", rate.hits, rate.total)
            };
            format!("{}, from {}: {answers}", upstream.address, upstream.from)
        })
        .collect()
}

/// Returns the places that name the known upstreams that answer nothing; if none was queried, those of all of them.
fn upstream_origins(seen: &Observations) -> Vec<String> {
    let addresses: Vec<IpAddr> =
        seen.environment.upstreams.iter().filter_map(|upstream| upstream.address.parse().ok()).collect();
    let rate = |address: IpAddr| {
        let of = seen.asked_for(Purpose::Upstream).filter(|asked| asked.server.ip() == address);
        Rate::count(of, |asked| asked.is_conclusive())
    };
    let is_queried = addresses.iter().any(|address| rate(*address).total > 0);
    let is_suspect = |address: &&IpAddr| !is_queried || (rate(**address).total > 0 && rate(**address).hits == 0);
    addresses.iter().filter(is_suspect).flat_map(|address| origins(seen, *address)).collect()
}

/// Returns the node's nameservers, and the upstreams that are no longer among them.
fn node_nameservers_now(seen: &Observations) -> Option<String> {
    let node = seen.environment.node_nameservers.as_ref()?;
    let gone: Vec<&str> = seen
        .environment
        .upstreams
        .iter()
        .map(|upstream| upstream.address.as_str())
        .filter(|address| !node.iter().any(|server| server == address))
        .collect();
    let names = format!("the node's resolv.conf now names {}", list(node));
    Some(if gone.is_empty() { names } else { format!("{names}, not {}", list(gone)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::nameserver_origins::{Origin, Persistence, Place};
    use crate::verdicts::tests::{SECOND, Seen, code, fires, silent, silent_of};

    const STALE: &str = "stale-nameserver";

    #[test]
    fn fires_for_a_server_that_never_answers() {
        let verdict = fires(STALE, &Seen::healthy().server("10.0.0.9").silent("10.0.0.9"));
        assert_eq!(verdict.what, "10.0.0.9, 1 of 2 nameservers, never answers");
        assert_eq!((verdict.level, verdict.confidence), (Level::Warn, Confidence::Certain));
    }

    #[test]
    fn shows_the_profile_that_shortens_the_wait_for_a_dead_first_server() {
        let verdict = fires(STALE, &Seen::healthy().first_server("10.0.0.9").silent("10.0.0.9"));
        assert!(
            verdict.profile_effects.improvements.iter().any(|change| change.profile == "node-local"),
            "{:?}",
            verdict.profile_effects
        );
    }

    #[test]
    fn silent_for_one_lost_answer() {
        silent_of(STALE, &Seen::healthy().server("10.0.0.9").silent_once("10.0.0.9"));
    }

    #[test]
    fn silent_for_a_server_that_answers_by_tcp_alone() {
        silent_of(
            STALE,
            &Seen::healthy().change(|asked| {
                if asked.via == Via::Udp {
                    asked.outcome = QueryOutcome::Silence;
                }
            }),
        );
    }

    #[test]
    fn denies_if_no_server_answers() {
        let mut seen = Seen::healthy().change(|asked| asked.outcome = QueryOutcome::Silence);
        let verdict = fires(STALE, &seen);
        assert_eq!(verdict.level, Level::Deny);
        assert!(!verdict.what.contains("no name"), "the C library finds names: {}", verdict.what);
        seen.lookups.clear();
        assert!(fires(STALE, &seen).what.ends_with("no name resolves here"));
    }

    #[test]
    fn fires_with_an_interval_for_a_share_of_failing_external_names() {
        let seen = Seen::healthy().every_nth_invented(2, |asked| asked.outcome = QueryOutcome::Silence);
        let verdict = fires(STALE, &seen);
        assert!(verdict.what.starts_with("50 % of the external names"), "{}", verdict.what);
        assert!(verdict.evidence[0].contains("95 % interval"), "{:?}", verdict.evidence);
        assert_eq!(verdict.level, Level::Deny);
    }

    #[test]
    fn warns_for_a_share_that_is_only_slow() {
        let seen = Seen::healthy().every_nth_invented(2, |asked| asked.took = 2 * SECOND);
        assert_eq!(fires(STALE, &seen).level, Level::Warn);
    }

    #[test]
    fn silent_if_the_clusters_names_fail_too() {
        for code_of_all in [Code::ServFail, Code::Refused] {
            let mut seen = Seen::healthy().change(|asked| asked.outcome = code(code_of_all));
            for pair in &mut seen.pairs {
                (pair.a, pair.aaaa) = (Half::Answered(4, code_of_all), Half::Answered(4, code_of_all));
            }
            silent_of(STALE, &seen);
        }
    }

    #[test]
    fn says_nothing_of_the_cluster_that_was_not_seen() {
        let seen = Seen::healthy().change(|asked| match asked.purpose {
            Purpose::Name => asked.outcome = code(Code::NxDomain),
            Purpose::Invented | Purpose::External => asked.outcome = code(Code::ServFail),
            _ => {}
        });
        assert_eq!(fires(STALE, &seen).what, "no external name resolves through 10.0.0.10");
        let seen = Seen::healthy().change(|asked| {
            if asked.purpose == Purpose::Invented {
                asked.outcome = code(Code::ServFail);
            }
        });
        let what = "no external name that is not in a cache resolves through 10.0.0.10, while the cluster's names do";
        assert_eq!(fires(STALE, &seen).what, what);
    }

    #[test]
    fn silent_if_one_domain_alone_fails() {
        silent_of(
            STALE,
            &Seen::healthy().change(|asked| {
                if asked.purpose == Purpose::Invented && asked.name.ends_with(".net") {
                    asked.outcome = QueryOutcome::Silence;
                }
            }),
        );
    }

    #[test]
    fn silent_for_one_slow_name() {
        silent_of(STALE, &Seen::healthy().every_nth_invented(1000, |asked| asked.took = 2 * SECOND));
    }

    #[test]
    fn silent_if_everything_is_equally_slow() {
        silent_of(STALE, &Seen::healthy().change(|asked| asked.took = 2 * SECOND));
    }

    #[test]
    fn shows_upstreams_and_where_they_were_found() {
        let mut seen = Seen::healthy().every_nth_invented(2, |asked| asked.outcome = QueryOutcome::Silence);
        seen.environment.upstreams = vec![crate::verdicts::observations::Upstream {
            address: "192.0.2.7".to_owned(),
            from: "the Corefile".to_owned(),
        }];
        seen.environment.node_nameservers = Some(vec!["192.0.2.8".to_owned()]);
        let evidence = fires(STALE, &seen).evidence.join("\n");
        assert!(evidence.contains("192.0.2.7, from the Corefile: not queried"), "{evidence}");
        assert!(evidence.contains("now names 192.0.2.8, not 192.0.2.7"), "{evidence}");
    }

    /// Gives an address an origin on the node.
    fn origin(seen: &mut Seen, address: &str, file: &str, persistence: Persistence) {
        let place = Place { file: file.to_owned(), line: Some(3) };
        let steps = ["change it there", "run `resolvconf -u`", "restart CoreDNS"].map(str::to_owned).to_vec();
        seen.environment.nameserver_origins.get_or_insert_default().origins.push(Origin {
            address: address.parse().unwrap(),
            place,
            mechanism: "resolvconf",
            setting: "nameserver".to_owned(),
            persistence,
            in_use: Some(true),
            note: None,
            steps,
        });
    }

    #[test]
    fn names_the_line_that_a_dead_nameserver_comes_from() {
        let mut seen = Seen::healthy().server("10.0.0.9").silent("10.0.0.9");
        origin(&mut seen, "10.0.0.9", "/run/resolvconf/resolv.conf", Persistence::Derived);
        origin(&mut seen, "10.0.0.9", "/etc/resolvconf/resolv.conf.d/base", Persistence::Stored);
        origin(&mut seen, "10.0.0.8", "/etc/resolvconf/resolv.conf.d/tail", Persistence::Stored);
        assert_eq!(
            fires(STALE, &seen).help,
            [
                "`10.0.0.9` comes from /etc/resolvconf/resolv.conf.d/base line 3 (resolvconf); it comes back after a reboot; change it \
              there, then run `resolvconf -u`, then restart CoreDNS"
            ]
        );
    }

    #[test]
    fn names_the_line_that_a_dead_upstream_comes_from() {
        let mut seen = Seen::healthy().every_nth_invented(2, |asked| asked.outcome = QueryOutcome::Silence);
        let upstream = |address: &str| crate::verdicts::observations::Upstream {
            address: address.to_owned(),
            from: "the node's /etc/resolv.conf".to_owned(),
        };
        seen.environment.upstreams = vec![upstream("192.0.2.7"), upstream("192.0.2.8")];
        for address in ["192.0.2.7", "192.0.2.8"] {
            origin(&mut seen, address, "/etc/resolvconf/resolv.conf.d/base", Persistence::Stored);
        }
        let help = |seen: &Seen| fires(STALE, seen).help.join("\n");
        assert!(help(&seen).contains("`192.0.2.7` comes from") && help(&seen).contains("`192.0.2.8` comes from"));
        // Where they were queried, only the one that answers nothing.
        let mut asked = seen.asked.iter().find(|asked| asked.is_conclusive()).unwrap().clone();
        asked.purpose = Purpose::Upstream;
        for (address, is_answered) in [("192.0.2.7", true), ("192.0.2.8", false)] {
            asked.server = SocketAddr::new(address.parse().unwrap(), 53);
            if !is_answered {
                asked.outcome = QueryOutcome::Silence;
            }
            seen.asked.push(asked.clone());
        }
        assert!(!help(&seen).contains("`192.0.2.7` comes from") && help(&seen).contains("`192.0.2.8` comes from"));
    }

    #[test]
    fn silent_on_a_healthy_network() {
        silent(STALE);
    }
}

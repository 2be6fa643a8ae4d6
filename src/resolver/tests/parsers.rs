//! The edges of each resolver's parser.

use std::time::Duration;

use super::super::go::{self, Netdns};
use super::super::{Cgo, Family, QueryPairing, Resolver, Settings, Support, Transport, Version, Viability};
use super::{glibc, go, musl, settings};

fn numbers(resolver: Resolver, options: &[&str]) -> Option<(u32, u64, u32)> {
    Settings::read_options(resolver, options).map(|read| (read.ndots, read.timeout.as_secs(), read.attempts))
}

#[test]
fn musl_looks_within_words_and_wants_a_digit() {
    let read = |options: &[&str]| numbers(musl(2, 5), options);
    assert_eq!(read(&[]), Some((1, 5, 2)));
    assert_eq!(read(&["xattempts:3", "no-timeout:7"]), Some((1, 7, 3)));
    assert_eq!(read(&["ndots:x", "ndots:3"]), Some((1, 5, 2)), "the first counts, though it is no number");
    assert_eq!(read(&["timeout:.5", "attempts:-1"]), Some((1, 5, 2)));
    assert_eq!(read(&["ndots: 3"]), Some((1, 5, 2)));
    assert_eq!(read(&["ndots:99", "timeout:99", "attempts:99999999999999999999"]), Some((15, 60, 10)));
    assert_eq!(read(&["ndots:4 attempts:4", "ndots:2"]), Some((4, 5, 4)), "two in one text");
}

#[test]
fn musl_drops_a_line_that_is_too_long() {
    let read = |padding: usize| {
        let padding = "x".repeat(padding);
        numbers(musl(2, 5), &["ndots:5", &padding, "attempts:9"])
    };
    // `options ndots:5 … attempts:9` without the padding is 27 bytes.
    assert_eq!(read(254 - 27), Some((5, 5, 9)));
    assert_eq!(read(255 - 27), Some((1, 5, 2)));
}

#[test]
fn musl_before_1_1_13_had_other_bounds_and_a_shorter_line() {
    let read = |options: &[&str]| numbers(musl(1, 12), options);
    assert_eq!(read(&["ndots:5", "timeout:60", "attempts:0"]), Some((1, 30, 1)));
    assert_eq!(settings(musl(1, 12), "timeout:0").viability(), Viability::NeverSends);
    let padding = "x".repeat(44);
    assert_eq!(read(&[&padding, "attempts:10"]), Some((1, 5, 1)), "the buffer ends within the number");
    assert_eq!(read(&[&padding, "y", "attempts:9"]), Some((1, 5, 2)), "or before it");
}

#[test]
fn musl_1_1_13_to_1_1_15_ignore_attempts_and_1_1_16_is_taken_as_alpine_patched_it() {
    for patch in 13..=15 {
        assert_eq!(settings(musl(1, patch), "attempts:0 timeout:7").attempts, 2, "1.1.{patch}");
        assert_eq!(settings(musl(1, patch), "attempts:0").viability(), Viability::Works, "1.1.{patch}");
    }
    assert_eq!(settings(musl(1, 16), "attempts:0").viability(), Viability::Crashes);
    assert_eq!(settings(Family::Musl.unversioned(), "attempts:0").viability(), Viability::Crashes);
}

#[test]
fn musl_resends_in_whole_milliseconds() {
    assert_eq!(settings(musl(2, 5), "timeout:5 attempts:9").resend_after(), Duration::from_millis(555));
    assert_eq!(settings(musl(2, 5), "attempts:1").one_loss_delay(), None);
}

#[test]
fn glibc_reads_numbers_as_c_does() {
    let read = |options: &[&str]| numbers(glibc(), options);
    assert_eq!(read(&[]), Some((1, 5, 2)));
    assert_eq!(read(&["ndots:99", "timeout:99", "attempts:99"]), Some((15, 30, 5)));
    assert_eq!(read(&["ndots:-1", "timeout:-1", "attempts:-1"]), Some((15, 1, 0)));
    assert_eq!(read(&["ndots:x", "timeout:x", "attempts:x"]), Some((0, 1, 0)), "no number is 0");
    assert_eq!(read(&["attempts:99999999999999999999"]), Some((1, 5, 0)), "saturates as a long, and is -1 as an int");
    assert_eq!(read(&["attempts:4294967299"]), Some((1, 5, 3)), "loses its upper half");
    assert_eq!(read(&["ndots: 3"]), Some((3, 5, 2)), "skips a blank");
    assert_eq!(read(&["ndots:", "4", "xndots:2"]), Some((4, 5, 2)), "even between two options, but not within a word");
}

#[test]
fn glibc_compares_switches_only_as_far_as_their_names() {
    let pairing = |line| settings(glibc(), line).pairing;
    assert_eq!(pairing("single-request"), QueryPairing::OneSocketSerial);
    assert_eq!(pairing("single-requests"), QueryPairing::OneSocketSerial);
    assert_eq!(pairing("single-request-reopen:true"), QueryPairing::TwoSocketsSerial);
    assert_eq!(pairing("single-request-reopen single-request"), QueryPairing::TwoSocketsSerial);
    assert_eq!(pairing("xsingle-request"), QueryPairing::OneSocket);
    let of_2_10 = Family::Glibc.at(Version::new(2, 10, 0));
    assert_eq!(settings(of_2_10, "single-request-reopen").pairing, QueryPairing::OneSocketSerial);
}

#[test]
fn glibc_since_2_41_takes_a_switch_back() {
    let line = "use-vc rotate -use-vc";
    let of_2_41 = settings(Family::Glibc.at(Version::new(2, 41, 0)), line);
    assert_eq!((of_2_41.transport, of_2_41.rotate), (Transport::Udp, true));
    assert_eq!(settings(glibc(), line).transport, Transport::Tcp);
}

#[test]
fn no_option_bounds_the_wait_of_glibc_with_tcp() {
    assert_eq!(settings(glibc(), "use-vc timeout:1").gives_up_after(1, 1), None);
    assert_eq!(settings(glibc(), "use-vc").conntrack_race_delay(4), Some(Duration::ZERO));
    assert_eq!(settings(glibc(), "use-vc attempts:0").viability(), Viability::NeverSends);
}

#[test]
fn glibc_repeats_half_a_pair_without_counting_an_attempt() {
    assert_eq!(settings(glibc(), "attempts:1").one_loss_delay(), Some(Duration::from_secs(5)));
    assert_eq!(settings(glibc(), "attempts:1 single-request").one_loss_delay(), None);
    assert_eq!(settings(go(), "attempts:1").one_loss_delay(), None);
}

#[test]
fn go_reads_no_number_as_zero_and_has_no_upper_bound() {
    let read = |options: &[&str]| numbers(go(), options);
    assert_eq!(read(&["ndots:x", "timeout:", "attempts:-3"]), Some((0, 1, 1)));
    assert_eq!(read(&["ndots:99", "timeout:99", "attempts:99"]), Some((15, 99, 99)));
    assert_eq!(read(&["timeout:99999999999999999999"]), Some((1, 0x00FF_FFFF, 2)));
    assert_eq!(read(&["ndots: 3"]), Some((0, 5, 2)));
}

#[test]
fn go_compares_switches_whole() {
    assert_eq!(settings(go(), "single-request-reopen").pairing, QueryPairing::TwoSocketsSerial);
    assert_eq!(settings(go(), "single-request-reopen:true").pairing, QueryPairing::TwoSockets);
    assert_eq!(settings(go(), "tcp").transport, Transport::Tcp);
    assert_eq!(
        settings(go(), "tcp").gives_up_after(1, 1),
        Some(Duration::from_secs(10)),
        "its timeouts hold for TCP too"
    );
    let of_1_12 = settings(Family::Go.at(Version::new(1, 12, 0)), "single-request use-vc");
    assert_eq!((of_1_12.pairing, of_1_12.transport), (QueryPairing::TwoSockets, Transport::Udp));
}

#[test]
fn uclibc_reads_only_the_first_option() {
    let read = |options: &[&str]| numbers(Family::Uclibc.unversioned(), options);
    assert_eq!(read(&[]), Some((1, 5, 3)));
    assert_eq!(read(&["timeout:3", "attempts:4"]), Some((1, 3, 3)));
    assert_eq!(read(&["ndots:5", "timeout:3"]), Some((1, 5, 3)), "as in any pod with the cluster's DNS");
    assert_eq!(read(&["rotate", "timeout:3"]), Some((1, 5, 3)));
    assert_eq!(read(&["attempts:0"]), Some((1, 5, 1)));
    assert_eq!(read(&["timeout:257"]), Some((1, 1, 3)), "it keeps a byte");
    assert_eq!(settings(Family::Uclibc.unversioned(), "timeout:0").viability(), Viability::NeverWaits);
}

#[test]
fn c_ares_skips_numbers_that_are_not_whole() {
    let read = |options: &[&str]| numbers(Family::CAres.unversioned(), options);
    assert_eq!(read(&[]), Some((1, 2, 3)));
    assert_eq!(read(&["timeout:0", "attempts:0", "ndots:0"]), Some((0, 2, 3)));
    assert_eq!(read(&["timeout:1.5", "attempts:x", "ndots:-1"]), Some((1, 2, 3)));
    assert_eq!(read(&["timeout:1", "retry:4", "ndots:20"]), Some((20, 1, 4)));
    assert_eq!(read(&["timeout:30"]), Some((1, 5, 3)), "at most 5 s");
    assert_eq!(numbers(Family::CAres.at(Version::new(1, 16, 0)), &["timeout:1", "retry:2"]), Some((1, 5, 2)));
    assert_eq!(settings(Family::CAres.unversioned(), "usevc").transport, Transport::Tcp);
}

#[test]
fn c_ares_and_uclibc_give_up_as_their_source_says() {
    let after = |family: Family, line| settings(family.unversioned(), line).gives_up_after(1, 4);
    assert_eq!(after(Family::CAres, ""), Some(Duration::from_secs(2 + 4 + 8)));
    assert_eq!(after(Family::Uclibc, ""), Some(Duration::from_secs(2 * 3 * 5)));
}

#[test]
fn glibc_reads_its_environment_after_the_file() {
    let after = |file: &str, environment| settings(glibc(), file).after_environment(environment);
    let read = after("ndots:5 timeout:3 single-request", "ndots:1 attempts:4 use-vc");
    assert_eq!((read.ndots, read.timeout, read.attempts), (1, Duration::from_secs(3), 4));
    assert_eq!((read.pairing, read.transport), (QueryPairing::OneSocketSerial, Transport::Tcp));
    let c_ares = settings(Family::CAres.unversioned(), "ndots:5 timeout:3").after_environment("ndots:1 attempts:4");
    assert_eq!((c_ares.ndots, c_ares.timeout, c_ares.attempts), (1, Duration::from_secs(3), 4));
    for resolver in [musl(2, 5), go(), Family::Uclibc.unversioned()] {
        let file = settings(resolver, "ndots:5");
        assert_eq!(file.after_environment("ndots:1"), file, "{resolver}");
    }
}

#[test]
fn the_environment_can_take_back_a_switch_of_the_file() {
    let of_2_41 = Family::Glibc.at(Version::new(2, 41, 0));
    let file = settings(of_2_41, "single-request single-request-reopen");
    assert_eq!(file.pairing, QueryPairing::TwoSocketsSerial);
    assert_eq!(file.after_environment("-single-request-reopen").pairing, QueryPairing::OneSocketSerial);
    assert_eq!(
        settings(of_2_41, "single-request-reopen").after_environment("-single-request-reopen").pairing,
        QueryPairing::OneSocket
    );
}

#[test]
fn go_reads_godebug_as_tried() {
    for (godebug, asks) in [
        ("netdns=go", Some(Netdns::Go)),
        ("netdns=cgo", Some(Netdns::Cgo)),
        ("netdns=cgo+2", Some(Netdns::Cgo)),
        ("netdns=2+go", Some(Netdns::Go)),
        ("madvdontneed=1,netdns=go", Some(Netdns::Go)),
        ("netdns=go+2,netdns=cgo+2", Some(Netdns::Cgo)),
        ("netdns=cgo+2,netdns=go+2", Some(Netdns::Go)),
        ("netdns=1", None),
        ("netdns=", None),
        ("netdns=dns", None),
        ("xnetdns=go", None),
        ("", None),
    ] {
        assert_eq!(go::netdns(godebug), asks, "{godebug}");
    }
}

#[test]
fn go_knows_a_word_or_leaves_it_to_the_c_library() {
    let release = Family::Go.at(Version::new(1, 26, 8));
    for word in ["ndots:5", "timeout:x", "attempts:", "rotate", "trust-ad", "edns0", "use-vc"] {
        assert_eq!(go::knows_word(release, word), Support::Honoured, "{word}");
    }
    for word in ["no-aaaa", "ndots", "rotate:1", "single-request-reopen:true", "strict-error", "*"] {
        assert_eq!(go::knows_word(release, word), Support::Ignored, "{word}");
    }
    assert_eq!(go::knows_word(Family::Go.unversioned(), "trust-ad"), Support::Varies);
}

#[test]
fn a_go_program_with_cgo_resolves_as_its_environment_says() {
    let version = Some(Version::new(1, 2, 5));
    let program = Family::Go.unversioned().with_cgo(Cgo::Linked { libc: Family::Musl, version });
    let musl = musl(2, 5);
    assert_eq!(go::in_environment(program, None, false), program);
    assert_eq!(go::in_environment(program, Some("netdns=cgo"), false), musl);
    assert_eq!(go::in_environment(program, Some("netdns=2"), true), musl);
    assert_eq!(go::in_environment(program, Some("netdns=go"), true), program);
    let without = Family::Go.unversioned().with_cgo(Cgo::Absent);
    assert_eq!(go::in_environment(without, Some("netdns=cgo"), true), without);
    assert_eq!(go::in_environment(musl, Some("netdns=cgo"), true), musl);
}

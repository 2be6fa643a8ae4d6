//! The options of the changed pod.

use super::*;
use crate::policy::OnConflict;

#[test]
fn assumed_musl_gets_options_that_suit_every_resolver() {
    assert_eq!(Case::pod("alpine:3.19").run().options(), ["single-request-reopen", "timeout:5", "attempts:5"]);
}

#[test]
fn inspected_musl_gets_the_quickest_resend() {
    assert_eq!(Case::pod("alpine:3.19").inspected().run().options(), ["timeout:5", "attempts:10"]);
}

#[test]
fn a_mixed_pod_gets_options_that_help_both() {
    let outcome = Case::pod("alpine:3.19").and("debian:12").inspected().run();
    assert_eq!(outcome.options(), ["single-request-reopen", "timeout:5", "attempts:5"]);
}

#[test]
fn a_pod_without_musl_gets_only_its_label_and_resolvers() {
    let outcome = Case::pod("debian:12").run();
    assert_eq!(outcome.pod["spec"].get("dnsConfig"), None);
    assert_eq!(outcome.pod["metadata"]["labels"]["muslin.dev/libc"], "glibc");
    assert_eq!(outcome.annotation("muslin.dev/injected"), None);
}

#[test]
fn the_other_profiles_inject_everywhere() {
    let reopen = Case::pod("debian:12").profile("single-request-reopen").run();
    assert_eq!(reopen.options(), ["single-request-reopen"]);
    assert_eq!(Case::pod("debian:12").profile("fast").run().options(), ["timeout:3", "attempts:6"]);
}

#[test]
fn keeps_options_the_user_set_and_reports_the_conflict() {
    let outcome = Case::pod("alpine:3.19").options(&[("ndots", Some("2")), ("attempts", Some("3"))]).inspected().run();
    assert_eq!(outcome.options(), ["ndots:2", "attempts:3"]);
    assert_eq!(outcome.plan.notes, ["profile quick adds no timeout:5 attempts:10 beside the pod's own attempts:3"]);
    assert_eq!(outcome.annotation("muslin.dev/injected"), None);
}

#[test]
fn keeps_an_option_of_the_user_that_hides_its_value_in_its_name() {
    let outcome = Case::pod("alpine:3.19").options(&[("attempts:3", None)]).inspected().run();
    assert_eq!(outcome.options(), ["attempts:3"]);
}

#[test]
fn keeps_nameservers_searches_and_fields_it_does_not_know() {
    let config = json!({
        "nameservers": ["192.0.2.1"], "searches": ["example.com"], "future": { "a": 1 },
        "options": [{ "name": "edns0", "future": true }]
    });
    let outcome = Case::pod("alpine:3.19").set("/spec/dnsConfig", config.clone()).run();
    let mut expected = config;
    for (name, value) in [("single-request-reopen", None), ("timeout", Some("5")), ("attempts", Some("5"))] {
        let mut option = json!({ "name": name });
        if let Some(value) = value {
            option["value"] = json!(value);
        }
        expected["options"].as_array_mut().unwrap().push(option);
    }
    assert_eq!(outcome.pod["spec"]["dnsConfig"], expected);
}

#[test]
fn fixes_a_zero_and_notes_the_old_value() {
    let outcome =
        Case::pod("alpine:3.19").options(&[("attempts", Some("0")), ("timeout", Some("0.5"))]).inspected().run();
    assert_eq!(outcome.options(), ["attempts:10", "timeout:5.5"]);
    assert_eq!(
        outcome.annotation("muslin.dev/injected"),
        Some("attempts:10 (was attempts:0) timeout:5 (was timeout:0)")
    );
    assert!(
        outcome
            .plan
            .findings
            .iter()
            .filter(|planned| planned.finding.level == Level::Deny)
            .all(|planned| planned.fixed)
    );
}

#[test]
fn fixes_a_zero_in_a_pod_without_musl_with_the_default_number() {
    assert_eq!(Case::pod("debian:12").options(&[("attempts", Some("0"))]).run().options(), ["attempts:2"]);
}

#[test]
fn fixes_a_zero_in_the_name() {
    let outcome = Case::pod("alpine:3.19").options(&[("attempts:0", None)]).inspected().run();
    assert_eq!(outcome.options(), ["attempts:10", "timeout:5"]);
}

#[test]
fn does_not_fix_a_text_that_names_the_option_twice() {
    let outcome = Case::pod("debian:12").options(&[("attempts", Some("5 attempts:0"))]).run();
    assert_eq!(outcome.options(), ["attempts:5 attempts:0"]);
}

#[test]
fn fixes_nothing_below_the_mode_inject() {
    let outcome = Case::pod("alpine:3.19").options(&[("attempts", Some("0"))]).mode(Mode::Warn).run();
    assert_eq!(outcome.options(), ["attempts:0"]);
    assert!(outcome.plan.findings.iter().all(|planned| !planned.fixed));
}

#[test]
fn injects_nothing_if_musl_would_drop_the_whole_line() {
    let long = "x".repeat(215);
    let outcome = Case::pod("alpine:3.19").options(&[(&long, None)]).run();
    assert_eq!(outcome.options(), [long]);
    assert!(outcome.plan.notes[0].contains("drops an options line"), "{:?}", outcome.plan.notes);
    let fits = "x".repeat(150);
    assert_eq!(Case::pod("alpine:3.19").options(&[(&fits, None)]).run().options().len(), 4);
}

#[test]
fn adds_no_timing_and_no_second_socket_beside_a_schedule_of_the_author() {
    for (name, value) in [("timeout", Some("1")), ("attempts", Some("4")), ("rotate", None), ("use-vc", None)] {
        let outcome = Case::pod("alpine:3.19").and("debian:12").options(&[(name, value)]).run();
        assert_eq!(outcome.options().len(), 1, "{:?}", outcome.options());
        assert!(outcome.plan.notes[0].contains("beside the pod's own"), "{:?}", outcome.plan.notes);
    }
}

#[test]
fn completes_a_schedule_of_which_the_author_wrote_a_part() {
    let outcome = Case::pod("alpine:3.19").inspected().options(&[("timeout", Some("5"))]).run();
    assert_eq!(outcome.options(), ["timeout:5", "attempts:10"]);
}

/// The kubelet would put the pod's options in place of the node's.
#[test]
fn adds_nothing_where_the_pod_inherits_the_nodes_file() {
    let inherits = Case::pod("alpine:3.19").set("/spec/dnsPolicy", json!("Default")).inspected().run();
    assert_eq!(inherits.pod["spec"].get("dnsConfig"), None);
    let on_host = Case::pod("alpine:3.19").set("/spec/hostNetwork", json!(true)).inspected().run();
    assert_eq!(on_host.pod["spec"].get("dnsConfig"), None);
    let of_the_cluster = Case::pod("alpine:3.19")
        .set("/spec/hostNetwork", json!(true))
        .set("/spec/dnsPolicy", json!("ClusterFirstWithHostNet"))
        .inspected()
        .run();
    assert_eq!(of_the_cluster.options(), ["timeout:5", "attempts:10"]);
}

#[test]
fn the_default_profile_adds_no_option() {
    for image in ["alpine:3.19", "alpine:3.4", "debian:12", "example.com/app:1"] {
        assert_eq!(Case::pod(image).profile("default").inspected().run().options(), [] as [&str; 0]);
    }
}

#[test]
fn three_attempts_are_for_known_musl_and_one_nameserver() {
    let usual = || Case::pod("alpine:3.19").profile("three-attempts");
    assert_eq!(usual().inspected().run().options(), ["attempts:3"]);
    // By the image's name alone, beside glibc or an unknown resolver, before musl 1.2.1, with a second nameserver.
    let second = json!({ "nameservers": ["192.0.2.1"] });
    for other in [
        usual(),
        usual().and("debian:12").inspected(),
        usual().and("example.com/app:1").inspected(),
        Case::pod("alpine:3.12").profile("three-attempts").inspected(),
        usual().set("/spec/dnsConfig", second).inspected(),
    ] {
        assert_eq!(other.run().options(), [] as [&str; 0]);
    }
    assert_eq!(Case::pod("debian:12").profile("three-attempts").inspected().run().options(), [] as [&str; 0]);
}

mod options_of_0_1_0 {
    use super::*;

    /// A pod or template as 0.1.0 left it.
    fn left_by_0_1_0(image: &str) -> Case {
        let options = [("single-request-reopen", None), ("timeout", Some("5")), ("attempts", Some("5"))];
        let mut case = Case::pod(image).profile("default").options(&options);
        case.pod["metadata"]["annotations"] =
            json!({ "muslin.dev/injected": "single-request-reopen timeout:5 attempts:5" });
        case
    }

    #[test]
    fn are_replaced_by_todays_row() {
        let outcome = left_by_0_1_0("alpine:3.19").profile("three-attempts").inspected().run();
        assert_eq!(outcome.options(), ["attempts:3"]);
        assert_eq!(outcome.annotation("muslin.dev/injected"), Some("attempts:3"));
    }

    #[test]
    fn are_dropped_where_the_pod_gets_nothing_today() {
        let outcome = left_by_0_1_0("debian:12").run();
        assert_eq!(outcome.options(), [] as [&str; 0]);
        assert_eq!(outcome.annotation("muslin.dev/injected"), None);
    }

    #[test]
    fn stay_with_a_finding_in_the_mode_warn() {
        let outcome = left_by_0_1_0("debian:12").mode(Mode::Warn).run();
        assert_eq!(outcome.options().len(), 3);
        let slugs: Vec<_> = outcome.plan.findings.iter().map(|planned| planned.finding.rule.slug).collect();
        assert!(slugs.contains(&"outdated-injection"), "{slugs:?}");
    }

    #[test]
    fn are_the_authors_where_no_annotation_lists_them() {
        let mut case = left_by_0_1_0("debian:12");
        case.pod["metadata"]["annotations"] = json!({});
        assert_eq!(case.run().options().len(), 3);
    }
}

#[test]
fn a_sidecar_that_another_webhook_adds_changes_what_was_injected() {
    let first = Case::pod("alpine:3.19").inspected().run();
    assert_eq!(first.options(), ["timeout:5", "attempts:10"]);
    let second = Case::json(first.pod).and("debian:12").inspected().run();
    assert_eq!(second.options(), ["timeout:5", "attempts:5", "single-request-reopen"]);
    let first = Case::pod("debian:12").run();
    let second = Case::json(first.pod).and("alpine:3.19").run();
    assert_eq!(second.options(), ["single-request-reopen", "timeout:5", "attempts:5"]);
    assert_eq!(second.pod["metadata"]["labels"]["muslin.dev/libc"], "mixed");
}

mod node_local {
    use super::*;

    #[test]
    fn the_node_s_cache_takes_the_place_of_the_cluster_s_dns() {
        let outcome = Case::pod("debian:12").profile("node-local").run();
        assert_eq!(outcome.pod["spec"]["dnsPolicy"], "None");
        assert_eq!(
            outcome.pod["spec"]["dnsConfig"],
            json!({
                "nameservers": ["169.254.20.10"],
                "searches": ["shop.svc.cluster.local", "svc.cluster.local", "cluster.local"],
                "options": [{ "name": "ndots", "value": "5" }]
            })
        );
        assert_eq!(
            outcome.annotation("muslin.dev/injected"),
            Some("dnsPolicy:None (was dnsPolicy:ClusterFirst) ndots:5")
        );
    }

    #[test]
    fn the_user_s_settings_follow_those_of_the_cache() {
        let config = json!({ "nameservers": ["192.0.2.1"], "searches": ["example.com"], "options": [{ "name": "ndots", "value": "2" }] });
        let mut case = Case::pod("alpine:3.19").set("/spec/dnsConfig", config).inspected();
        case.profile.node_local = Profile::builtin("node-local").unwrap().node_local;
        let outcome = case.run();
        assert_eq!(outcome.pod["spec"]["dnsConfig"]["nameservers"], json!(["169.254.20.10", "192.0.2.1"]));
        assert_eq!(outcome.pod["spec"]["dnsConfig"]["searches"][3], "example.com");
        assert_eq!(outcome.options(), ["ndots:2", "timeout:5", "attempts:10"]);
    }

    #[test]
    fn is_not_used_if_the_pod_does_not_use_the_cluster_s_dns() {
        for policy in ["Default", "None"] {
            let outcome = Case::pod("debian:12").set("/spec/dnsPolicy", json!(policy)).profile("node-local").run();
            assert_eq!(outcome.pod["spec"]["dnsPolicy"], policy);
        }
    }

    #[test]
    fn is_not_used_if_the_api_server_would_deny_the_result() {
        let config = json!({ "nameservers": ["192.0.2.1", "192.0.2.2", "192.0.2.3"] });
        let outcome = Case::pod("debian:12").set("/spec/dnsConfig", config.clone()).profile("node-local").run();
        assert_eq!(outcome.pod["spec"]["dnsConfig"], config);
        assert_eq!(outcome.plan.notes.len(), 1);
    }

    fn with_fault(mut case: Case) -> Case {
        case.cache_fault = Some(CacheFault::NoAnswer("UDP"));
        case
    }

    #[test]
    fn is_not_used_while_it_does_not_answer_but_the_options_are() {
        let mut case = with_fault(Case::pod("alpine:3.19"));
        case.profile.node_local = Profile::builtin("node-local").unwrap().node_local;
        let outcome = case.run();
        assert_eq!(outcome.pod["spec"].get("dnsPolicy"), None);
        assert_eq!(outcome.pod["spec"]["dnsConfig"].get("nameservers"), None);
        assert_eq!(outcome.options(), ["single-request-reopen", "timeout:5", "attempts:5"]);
        let note = "the node-local cache is not used: 169.254.20.10 does not answer muslin's pod by UDP";
        assert!(outcome.annotation("muslin.dev/warnings").unwrap().contains(note), "{:#}", outcome.pod);
        // The author of a pod cannot change it.
        assert!(!outcome.plan.warnings().iter().any(|line| line.contains(note)));
    }

    #[test]
    fn a_fault_is_no_matter_to_a_pod_that_does_not_use_the_cluster_s_dns() {
        let case = Case::pod("debian:12").set("/spec/dnsPolicy", json!("Default")).profile("node-local");
        assert_eq!(with_fault(case).run().plan.notes, [""; 0]);
    }

    /// A template copied from a running pod, or a second webhook between two replicas of muslin.
    #[test]
    fn a_pod_that_has_it_gets_the_author_s_settings_back_once_it_does_not_answer() {
        let config = json!({ "nameservers": ["192.0.2.1"], "searches": ["example.com"] });
        for author in [Case::pod("debian:12"), Case::pod("debian:12").set("/spec/dnsConfig", config)] {
            let before = author.pod.clone();
            let with_cache = author.profile("node-local").run().pod;
            let outcome = with_fault(Case::json(with_cache).profile("node-local")).run();
            assert_eq!(outcome.pod["spec"]["dnsPolicy"], "ClusterFirst");
            for list in ["nameservers", "searches", "options"] {
                let none = json!([]);
                let list_of = |pod: &Value| pod["spec"]["dnsConfig"].get(list).unwrap_or(&none).clone();
                assert_eq!(list_of(&outcome.pod), list_of(&before), "{list}");
            }
            assert_eq!(outcome.annotation("muslin.dev/injected"), None);
        }
    }

    /// Beside the cache there is one nameserver; without it, as many as the cluster has.
    #[test]
    fn the_row_depends_on_the_nameservers_that_the_pod_gets() {
        let three = Profile::builtin("three-attempts").unwrap();
        let mut profile = Profile::builtin("node-local").unwrap();
        profile.musl_releases = three.musl_releases;
        let case = |fault| {
            let mut case = Case::pod("alpine:3.19").inspected();
            (case.profile, case.cluster_nameservers, case.cache_fault) = (profile.clone(), 2, fault);
            case.run().options()
        };
        assert_eq!(case(None), ["attempts:3", "ndots:5"]);
        assert_eq!(case(Some(CacheFault::PortClosed("TCP"))), [""; 0]);
    }
}

#[test]
fn a_second_pass_knows_which_of_several_equal_options_was_fixed() {
    let case = Case::pod("debian:12").options(&[("timeout", Some("5")), ("timeout:00", None), ("attempts", Some("3"))]);
    assert_eq!(case.run().options(), ["timeout:5", "timeout:5", "attempts:3"]);
}

/// Found by the random pods: of two claims of one text, the one that says where is the one that can be told.
#[test]
fn a_zero_that_is_written_twice_is_known_again_in_both_places() {
    let mut case = Case::pod("alpine:3.19").options(&[("attempts:0 timeout:0", None), ("timeout", Some("00"))]);
    case.profile.on_conflict = OnConflict::Override;
    case.run();
}

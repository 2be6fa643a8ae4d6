//! Properties of every plan: the patch applies, a second pass changes nothing, and the author's fields stay.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::pod::{DnsOption, Injected};
use crate::policy::{BrokenDomain, DomainFault, OnConflict, SearchList};

fn option() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        select(vec![
            "ndots",
            "timeout",
            "attempts",
            "single-request-reopen",
            "single-request",
            "rotate",
            "use-vc",
            "ndotss"
        ])
        .prop_map(str::to_owned),
        select(vec!["ndots:2", "attempts:0", "timeout:00", "xattempts:0", "attempts:0 timeout:0", "~/", "ß"])
            .prop_map(str::to_owned),
        "[a-z:0-9 ]{1,12}",
    ];
    let value = prop_oneof![
        Just(None),
        Just(Some(Value::Null)),
        select(vec!["0", "1", "2", "5", "10", "00", "0.5", "", "x", "-1", "5 attempts:0"])
            .prop_map(|text| Some(json!(text))),
    ];
    (name, value).prop_map(|(name, value)| match value {
        None => json!({ "name": name }),
        Some(value) => json!({ "name": name, "value": value, "future": 1 }),
    })
}

fn dns_config() -> impl Strategy<Value = Option<Value>> {
    let options = prop_oneof![
        Just(None),
        Just(Some(Value::Null)),
        prop::collection::vec(option(), 0..5).prop_map(|options| Some(json!(options)))
    ];
    let strings = |choices: Vec<&'static str>| {
        prop_oneof![Just(None), prop::collection::vec(select(choices), 0..3).prop_map(|list| Some(json!(list)))]
    };
    let object =
        (options, strings(vec!["192.0.2.1", "169.254.20.10"]), strings(vec!["example.com", "svc.cluster.local"]))
            .prop_map(|(options, nameservers, searches)| {
                let mut config = json!({});
                for (field, value) in [("options", options), ("nameservers", nameservers), ("searches", searches)] {
                    if let Some(value) = value {
                        config[field] = value;
                    }
                }
                Some(config)
            });
    prop_oneof![1 => Just(None), 1 => Just(Some(Value::Null)), 6 => object]
}

fn annotations() -> impl Strategy<Value = Option<Value>> {
    let claim = select(vec![
        "timeout:5 attempts:10",
        "single-request-reopen timeout:5 attempts:5",
        "attempts:10 (was attempts:0)",
        "attempts:2 (was attempts:00) timeout:5 (was timeout:0)",
        "dnsPolicy:None (was dnsPolicy:ClusterFirst) ndots:5",
        "ndots:2 rotate",
        "(was x) ) (was",
    ]);
    prop_oneof![
        2 => Just(None),
        1 => Just(Some(Value::Null)),
        1 => Just(Some(json!({}))),
        4 => claim.prop_map(|claim| Some(json!({ "muslin.dev/injected": claim, "a~b/c": "kept" }))),
    ]
}

fn pod() -> impl Strategy<Value = Value> {
    let images =
        select(vec!["alpine:3.19", "alpine:3.4", "alpine", "debian:12", "example.com/app:1", "", "::", "busybox:1.28"]);
    let policy =
        select(vec![None, Some("ClusterFirst"), Some("Default"), Some("None"), Some("ClusterFirstWithHostNet")]);
    (prop::collection::vec(images, 1..4), policy, any::<bool>(), dns_config(), annotations()).prop_map(
        |(images, policy, host_network, dns_config, annotations)| {
            let containers: Vec<Value> = images
                .into_iter()
                .enumerate()
                .map(|(index, image)| json!({ "name": format!("c{index}"), "image": image }))
                .collect();
            let mut pod = json!({ "metadata": {}, "spec": { "containers": containers, "hostNetwork": host_network } });
            if let Some(policy) = policy {
                pod["spec"]["dnsPolicy"] = json!(policy);
            }
            if let Some(config) = dns_config {
                pod["spec"]["dnsConfig"] = config;
            }
            if let Some(annotations) = annotations {
                pod["metadata"]["annotations"] = annotations;
            }
            pod
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Without any profile, and with the zeros fixed, the pod has what its author wrote: what fires there is the author's.
    #[test]
    fn no_note_on_an_accepted_risk_names_a_rule_that_the_author_made_fire(
        pod in pod(), profile in select(Profile::NAMES.to_vec()), inspected: bool, overrides: bool,
    ) {
        let on_conflict = if overrides { OnConflict::Override } else { OnConflict::Keep };
        let profile = Profile { on_conflict, ..Profile::builtin(profile).unwrap() };
        let with = |profile: Profile, mode| Case { mode, profile, inspected, ..Case::json(pod.clone()) };
        let case = with(profile, Mode::Inject);
        if let Ok(plan) = case.plan(&pod) {
            let risks = |changed: &Value| {
                let plan = with(Profile::nothing(), Mode::Warn).plan(changed).unwrap();
                let case = |planned: &Planned| (planned.finding.rule.slug, planned.finding.container.clone());
                plan.at_least(Level::Warn).map(case).collect::<Vec<_>>()
            };
            let mut changed = pod.clone();
            apply(&mut changed, &plan.patch).unwrap();
            let authors = risks(&with(Profile::nothing(), Mode::Inject).run().pod);
            let new: Vec<_> = risks(&changed).into_iter().filter(|case| !authors.contains(case)).collect();
            for note in plan.notes.iter().filter_map(|note| note.split_once(" accepts ")) {
                let slug = note.1.split_once(':').unwrap().0;
                prop_assert!(new.iter().any(|(new, _)| *new == slug), "{note:?}: the author's: {authors:?}");
            }
        }
    }

    #[test]
    fn the_patch_applies_and_a_second_pass_finds_nothing_to_do(
        pod in pod(), mode in select(Mode::ALL.to_vec()), profile in select(Profile::NAMES.to_vec()), inspected: bool,
        overrides: bool, has_fault: bool, search in select(vec![SearchList::Inherit, SearchList::Cluster, SearchList::WhenBroken]),
        is_broken: bool, servers_known in 0..4usize,
    ) {
        let on_conflict = if overrides { OnConflict::Override } else { OnConflict::Keep };
        let profile = Profile { on_conflict, search, ..Profile::builtin(profile).unwrap() };
        let cache_fault = has_fault.then_some(CacheFault::NotTried);
        let servers = ["10.96.0.10", "fd00::a", "10.96.0.11"];
        let cluster_addresses = servers.iter().take(servers_known).map(|server| server.parse().unwrap()).collect();
        let broken = BrokenDomain { domain: "corp.example.com".to_owned(), fault: DomainFault::NoData };
        let broken_domains = is_broken.then_some(broken).into_iter().collect();
        let case = Case { profile, mode, inspected, cache_fault, cluster_addresses, broken_domains, ..Case::json(pod) };
        if case.plan(&case.pod).is_ok() {
            let before = case.pod.clone();
            let outcome = case.run();
            // Other fields are unchanged.
            let options = |pod: &Value| pod.pointer("/spec/dnsConfig/options").and_then(Value::as_array).map_or(0, Vec::len);
            let is_outdated = |option: &&Value| {
                let text = |key: &str| option[key].as_str().map(str::to_owned);
                let text = DnsOption { name: text("name").unwrap_or_default(), value: text("value") }.text();
                Injected::OUTDATED.contains(&&*text)
            };
            let outdated = before.pointer("/spec/dnsConfig/options").and_then(Value::as_array);
            let outdated = outdated.map_or(0, |options| options.iter().filter(is_outdated).count());
            prop_assert!(options(&outcome.pod) + outdated >= options(&before));
            prop_assert_eq!(&outcome.pod["spec"]["containers"], &before["spec"]["containers"]);
            if before["metadata"]["annotations"]["a~b/c"].is_string() {
                prop_assert_eq!(&outcome.pod["metadata"]["annotations"]["a~b/c"], "kept");
            }
            let lines = outcome.annotation("muslin.dev/warnings").unwrap_or_default().to_owned();
            prop_assert!(lines.lines().all(|line| line.len() <= ANNOTATION_LINE_MAX));
        }
    }
}

//! Reads any lines as the options of a pod, each `name[:value]`, as every resolver reads them, checks them with every rule, fixes
//! them, and checks them again. A second pass changes nothing in the pod's spec.

#![no_main]

use libfuzzer_sys::fuzz_target;
use muslin::image::assume;
use muslin::plan::{Context, plan};
use muslin::pod::Pod;
use muslin::policy::Profile;
use muslin::resolver::{Family, Resolver, Settings, Version, changes, option_facts, zero_digits};
use serde_json::{Value, json};

/// One container of each kind that rules distinguish.
const IMAGES: [&str; 6] =
    ["alpine:3.19", "alpine:3.5", "debian:12", "busybox:1.36", "nats:latest", "example.com/app:1"];

fuzz_target!(|text: &str| {
    let options: Vec<&str> = text.lines().collect();
    for resolver in resolvers() {
        let Some(settings) = Settings::read_options(resolver, &options) else { continue };
        let _ = (settings.viability(), settings.resend_after(), settings.slowest_answer());
        let _ = (settings.one_loss_delay(), settings.conntrack_race_delay(4));
        for nameservers in [0, 1, 3, u32::MAX] {
            let _ = settings.gives_up_after(nameservers, 4);
            let _ = settings.dead_nameserver_delay(1, nameservers, 4);
        }
    }
    for option in &options {
        for name in ["attempts", "timeout"] {
            if let Some(digits) = zero_digits(option, name) {
                assert!(option[digits].bytes().all(|digit| digit == b'0'));
            }
        }
    }
    // One profile for each input, so that more inputs are tried.
    let profile = Profile::NAMES[text.len() % Profile::NAMES.len()];
    twice(pod(&options), &Profile::builtin(profile).expect("a built-in profile"));
});

/// Every family without a version, and the versions on both sides of each change.
fn resolvers() -> impl Iterator<Item = Resolver> {
    Family::KNOWN.into_iter().flat_map(|family| {
        let options = option_facts().filter(move |fact| fact.family == family);
        let releases = options.flat_map(|fact| [fact.since, fact.until]).flatten();
        let releases = releases.chain(changes(family).map(|change| change.since));
        let before = |release: Version| Version { patch: release.patch.saturating_sub(1), ..release };
        let both = releases.flat_map(move |release| [before(release), release]);
        both.map(move |release| family.at(release)).chain([family.unversioned()])
    })
}

fn pod(options: &[&str]) -> Value {
    let options: Vec<Value> = options
        .iter()
        .map(|option| match option.split_once(':') {
            // Both ways to write an option.
            Some((name, value)) if !value.contains(':') => json!({ "name": name, "value": value }),
            _ => json!({ "name": option }),
        })
        .collect();
    let containers: Vec<Value> = IMAGES
        .iter()
        .enumerate()
        .map(|(index, image)| json!({ "name": format!("c{index}"), "image": image }))
        .collect();
    json!({ "metadata": { "name": "pod" }, "spec": { "containers": containers, "dnsConfig": { "options": options } } })
}

fn twice(mut value: Value, profile: &Profile) {
    let context = Context::usual(profile);
    let decide = |value: &Value| {
        let json = value.to_string();
        let pod: Pod<'_> = serde_json::from_str(&json).expect("a pod");
        let images = pod.containers().map(|container| assume(container.image.as_deref().unwrap_or_default()));
        plan(&pod, images.collect(), &context).expect("a pod that is not skipped")
    };
    let first = decide(&value);
    json_patch::patch(&mut value, &first.patch).expect("a plan's patch applies to its pod");
    let second = decide(&value);
    // If two options have one text, the annotation does not show which one was fixed, so a warning may be worded differently; the
    // pod's spec must stay the same.
    let once = value.clone();
    json_patch::patch(&mut value, &second.patch).expect("a plan's patch applies to its pod");
    assert_eq!(value["spec"], once["spec"], "a second pass changes the pod again");
    let injected = |value: &Value| value.pointer("/metadata/annotations/muslin.dev~1injected").cloned();
    assert_eq!(injected(&value), injected(&once), "a second pass changes the annotation");
}

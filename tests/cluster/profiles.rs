//! ResolverProfiles: their validation, their effect on pods, and the warnings to their authors.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use muslin::policy::Profile;
use serde_json::{Value, json};

use crate::cluster::load::under_load;
use crate::common::control_plane::KubectlOutput;
use crate::common::harness::tests;
use crate::common::pods::pod;
use crate::{Cluster, Topic};

pub(crate) const TESTS: Topic = tests![
    the_api_server_alone_rejects_an_invalid_profile,
    each_built_in_profile_can_be_printed_and_applied,
    kubectl_explains_a_profile,
    a_namespace_uses_its_profile_until_that_is_deleted,
    a_risk_must_be_accepted_and_is_then_noted_on_each_pod,
    a_profiles_status_has_acceptance_and_number_of_namespaces,
    a_profile_overrides_exempts_and_selects_pods,
    a_profile_gives_options_by_resolver_release_and_declared_image,
    a_profiles_levels_decide_denials,
    changing_a_profile_previews_the_changes_to_its_pods,
    no_pod_mixes_two_profiles_while_profiles_change
];

pub(crate) const SOON: Duration = Duration::from_secs(60);

/// A profile; deleted when dropped.
pub(crate) struct Applied<'c>(&'c Cluster, String);

impl Drop for Applied<'_> {
    fn drop(&mut self) {
        let arguments = ["delete", "resolverprofile", &self.1, "--ignore-not-found"];
        let _ = self.0.control_plane.kubectl(&arguments, None);
    }
}

fn object(name: &str, spec: &Value) -> Value {
    json!({ "apiVersion": "muslin.dev/v1alpha1", "kind": "ResolverProfile", "metadata": { "name": name }, "spec": spec })
}

pub(crate) fn apply(cluster: &Cluster, name: &str, spec: &Value) -> Result<KubectlOutput> {
    cluster.control_plane.kubectl(&["apply", "-f", "-"], Some(&object(name, spec).to_string()))
}

pub(crate) fn applied<'c>(cluster: &'c Cluster, name: &str, spec: &Value) -> Result<(Applied<'c>, String)> {
    let output = apply(cluster, name, spec)?;
    ensure!(output.status.success(), "{}", output.stderr);
    Ok((Applied(cluster, name.to_owned()), output.stderr))
}

/// Creates pods until one meets a condition: muslin learns of a profile by a watch.
pub(crate) fn becomes(
    cluster: &Cluster,
    namespace: &str,
    wanted: &Value,
    is: impl Fn(&Value, &str) -> bool,
) -> Result<()> {
    let deadline = Instant::now() + SOON;
    let given = wanted["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    for number in 0.. {
        let mut wanted = wanted.clone();
        wanted["metadata"]["name"] = json!(format!("{given}-{number}-{}", Instant::now().elapsed().as_nanos()));
        wanted["metadata"]["namespace"] = json!(namespace);
        let arguments = ["create", "--dry-run=server", "-o", "json", "-f", "-"];
        let output = cluster.control_plane.kubectl(&arguments, Some(&wanted.to_string()))?;
        let pod: Value = serde_json::from_str(&output.stdout).unwrap_or_default();
        if is(&pod, &output.stderr) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{pod:#}\n{}", output.stderr);
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn options(texts: &[&str]) -> Value {
    let option = |text: &&str| match text.split_once(':') {
        Some((name, value)) => json!({ "name": name, "value": value }),
        None => json!({ "name": text }),
    };
    texts.iter().map(option).collect()
}

fn the_api_server_alone_rejects_an_invalid_profile(cluster: &Cluster) -> Result<()> {
    for (spec, why) in [
        (json!({ "options": { "musl": ["timeout:5", "timeout:6"] } }), "each option may be named only once"),
        (json!({ "options": { "others": ["attempts:0"] } }), "timeout:0 and attempts:0 make lookups fail"),
        (json!({ "options": { "musl": ["timeout 5"] } }), "spec.options.musl[0]"),
        (json!({ "options": { "muslReleases": [{ "from": "new", "options": [] }] } }), "from"),
        (json!({ "onConflict": "replace" }), "onConflict"),
        (json!({ "rules": { "musl-slow-retry": "error" } }), "musl-slow-retry"),
        (json!({ "nodeLocal": { "address": "node" } }), "the address is an IP address"),
        (json!({ "images": [{ "prefix": "a", "resolver": "bionic" }] }), "resolver"),
        (json!({ "exempt": { "serviceAccounts": ["builder"] } }), "serviceAccounts"),
        (json!({ "acceptRisk": ["everything"] }), "acceptRisk"),
        (json!({ "podSelector": { "matchExpressions": [{ "key": "a", "operator": "Is" }] } }), "operator"),
    ] {
        let output = apply(cluster, "refused", &spec)?;
        ensure!(!output.status.success() && output.stderr.contains(why), "{spec}: {}{}", output.stdout, output.stderr);
    }
    Ok(())
}

fn each_built_in_profile_can_be_printed_and_applied(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    let printed = std::process::Command::new(env!("CARGO_BIN_EXE_muslin")).args(["manifests", "profiles"]).output()?;
    let printed = String::from_utf8(printed.stdout)?;
    let output = cluster.control_plane.kubectl(&["apply", "--dry-run=server", "-f", "-"], Some(&printed))?;
    // The default profile is in use, so its preview appears.
    ensure!(output.status.success() && !output.stderr.contains("error"), "{}", output.stderr);
    for name in Profile::NAMES {
        ensure!(output.stdout.contains(&format!("resolverprofile.muslin.dev/{name} ")), "{}", output.stdout);
    }
    Ok(())
}

fn kubectl_explains_a_profile(cluster: &Cluster) -> Result<()> {
    let output = cluster.control_plane.kubectl(&["explain", "resolverprofile.spec"], None)?;
    for field in ["acceptRisk", "exempt", "images", "nodeLocal", "onConflict", "options", "podSelector", "rules"] {
        let (_, described) =
            output.stdout.split_once(&format!("\n  {field}\t")).with_context(|| output.stdout.clone())?;
        let sentence = described.lines().skip(1).find(|line| !line.starts_with("  enum:")).unwrap_or_default();
        ensure!(sentence.trim().len() > 20, "{field} is not explained: {}", output.stdout);
    }
    Ok(())
}

fn a_namespace_uses_its_profile_until_that_is_deleted(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    cluster.namespace("named", &[("muslin.dev/profile", "patient")])?;
    let alpine = pod("named", "web", "alpine:3.19");
    let has =
        |texts: &'static [&str]| move |pod: &Value, _: &str| pod["spec"]["dnsConfig"]["options"] == options(texts);
    becomes(cluster, "named", &alpine, |pod, warnings| {
        pod["spec"]["dnsConfig"].is_null() && warnings.contains("there is no profile `patient`")
    })?;
    let (profile, _) = applied(cluster, "patient", &json!({ "options": { "mixed": ["timeout:18", "attempts:9"] } }))?;
    becomes(cluster, "named", &alpine, has(&["timeout:18", "attempts:9"]))?;
    applied(cluster, "patient", &json!({ "options": { "mixed": ["timeout:8"], "glibc": ["rotate"] } }))
        .map(|(again, _)| std::mem::forget(again))?;
    becomes(cluster, "named", &alpine, has(&["timeout:8"]))?;
    becomes(cluster, "named", &pod("named", "glibc", "debian:12"), has(&["rotate"]))?;
    drop(profile);
    becomes(cluster, "named", &alpine, |pod, _| pod["spec"]["dnsConfig"].is_null())
}

fn a_risk_must_be_accepted_and_is_then_noted_on_each_pod(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    for (option, rule) in [
        (json!(["use-vc"]), "use-vc-hangs"),
        (json!(["timeout:1", "attempts:1"]), "short-total-timeout"),
        (json!(["ndots:1"]), "ndots-breaks-musl"),
    ] {
        let output = apply(cluster, "risky", &json!({ "options": { "others": option } }))?;
        let told = format!("name {rule} in acceptRisk");
        ensure!(!output.status.success() && output.stderr.contains(&told), "{rule}: {}", output.stderr);
    }
    let risky = json!({ "options": { "mixed": ["ndots:1"] } });
    let output = apply(cluster, "risky", &risky)?;
    let told = "ndots-breaks-musl in acceptRisk";
    ensure!(!output.status.success() && output.stderr.contains(told), "{}{}", output.stdout, output.stderr);
    let mut accepted = json!({ "options": { "mixed": ["timeout:1", "attempts:1"] } });
    accepted["acceptRisk"] = json!(["short-total-timeout"]);
    let (_profile, _) = applied(cluster, "risky", &accepted)?;
    cluster.namespace("risky", &[("muslin.dev/profile", "risky")])?;
    becomes(cluster, "risky", &pod("risky", "web", "alpine:3.19"), |pod, warnings| {
        let annotation = pod["metadata"]["annotations"]["muslin.dev/warnings"].as_str().unwrap_or_default();
        let says = "profile risky accepts short-total-timeout: app: ";
        annotation.contains(says) && !warnings.contains(says)
    })
}

fn a_profiles_status_has_acceptance_and_number_of_namespaces(cluster: &Cluster) -> Result<()> {
    // Created without muslin, which would deny it.
    let (_refused, _) = applied(cluster, "unseen", &json!({ "options": { "musl": ["use-vcs"] } }))?;
    let (_profile, _) = applied(cluster, "seen", &json!({ "options": { "musl": ["timeout:5"] } }))?;
    cluster.namespace("using-it", &[("muslin.dev/profile", "seen")])?;
    cluster.namespace("using-it-too", &[("muslin.dev/profile", "seen")])?;
    let _muslin = cluster.muslin()?;
    let status = |name: &str| -> Result<Value> {
        let output = cluster.control_plane.kubectl(&["get", "resolverprofile", name, "-o", "json"], None)?;
        Ok(serde_json::from_str::<Value>(&output.stdout)?["status"].clone())
    };
    let deadline = Instant::now() + SOON;
    loop {
        let (refused, accepted) = (status("unseen")?, status("seen")?);
        let condition = |status: &Value| status["conditions"][0].clone();
        let message = condition(&refused)["message"].as_str().unwrap_or_default().to_owned();
        if condition(&refused)["status"] == "False"
            && message.contains("no resolver knows `use-vcs`; did you mean `use-vc`?")
            && condition(&accepted)["status"] == "True"
            && accepted["observedGeneration"] == 1
            && accepted["namespaces"] == 2
        {
            break;
        }
        ensure!(Instant::now() < deadline, "{refused:#}{accepted:#}");
        std::thread::sleep(Duration::from_millis(200));
    }
    let table = cluster.control_plane.kubectl(&["get", "rprof"], None)?.stdout;
    ensure!(table.contains("ACCEPTED") && table.contains("NAMESPACES") && table.contains("False"), "{table}");
    Ok(())
}

fn a_profile_overrides_exempts_and_selects_pods(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    let spec = json!({
        "options": { "mixed": ["timeout:5"] }, "onConflict": "override",
        "exempt": { "images": ["registry.example.com/vendor"], "serviceAccounts": ["choosing/robot"] },
        "podSelector": { "matchLabels": { "tier": "web" }, "matchExpressions": [{ "key": "old", "operator": "DoesNotExist" }] },
    });
    let (_profile, _) = applied(cluster, "choosing", &spec)?;
    cluster.namespace("choosing", &[("muslin.dev/profile", "choosing")])?;
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "robot", "namespace": "choosing" }
    });
    cluster.create(&account)?;
    let mut own = pod("choosing", "web", "alpine:3.19");
    own["metadata"]["labels"] = json!({ "tier": "web" });
    own["spec"]["dnsConfig"] = json!({ "options": [{ "name": "timeout", "value": "9" }] });
    let told = |pod: &Value, note: &str| {
        pod["metadata"]["annotations"]["muslin.dev/warnings"].as_str().is_some_and(|warnings| warnings.contains(note))
    };
    becomes(cluster, "choosing", &own, |pod, _| {
        pod["spec"]["dnsConfig"]["options"] == options(&["timeout:5"])
            && pod["metadata"]["annotations"]["muslin.dev/injected"] == "timeout:5 (was timeout:9)"
            && told(pod, "replaced the pod's own timeout:9 by timeout:5")
    })?;
    let mut other = own.clone();
    other["metadata"]["labels"]["old"] = json!("true");
    becomes(cluster, "choosing", &other, |pod, _| {
        pod["spec"]["dnsConfig"]["options"][0]["value"] == "9" && told(pod, "beside the pod's own timeout:9")
    })?;
    let mut vendor = own.clone();
    vendor["spec"]["containers"][0]["image"] = json!("registry.example.com/vendor/app:1-alpine");
    let mut robot = own;
    robot["spec"]["serviceAccountName"] = json!("robot");
    for exempt in [vendor, robot] {
        becomes(cluster, "choosing", &exempt, |pod, warnings| {
            pod["spec"]["dnsConfig"]["options"] == options(&["timeout:9"]) && !warnings.contains("muslin")
        })?;
    }
    Ok(())
}

fn a_profile_gives_options_by_resolver_release_and_declared_image(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    let image =
        |name: &str, resolver: &str| json!({ "prefix": format!("registry.example.com/{name}"), "resolver": resolver });
    let spec = json!({
        "options": {
            "musl": ["timeout:20", "attempts:10"],
            "muslReleases": [{ "before": "1.2.0", "options": ["timeout:20", "attempts:9"] }],
            "mixed": ["timeout:20", "attempts:8"],
            "glibc": ["timeout:20", "attempts:7"],
            "go": ["timeout:20", "attempts:6"],
            "others": ["timeout:20", "attempts:5"],
        },
        "images": [image("new", "musl 1.2.5"), image("old", "musl 1.1.24"), image("go", "go"), image("c", "glibc 2.36")],
    });
    let (_profile, _) = applied(cluster, "by-resolver", &spec)?;
    cluster.namespace("by-resolver", &[("muslin.dev/profile", "by-resolver")])?;
    for (name, attempts) in [("new", 10), ("old", 9), ("c", 7), ("go", 6), ("unknown", 5)] {
        let wanted = pod("by-resolver", name, &format!("registry.example.com/{name}/app:1"));
        becomes(cluster, "by-resolver", &wanted, |pod, _| {
            pod["spec"]["dnsConfig"]["options"] == options(&["timeout:20", &format!("attempts:{attempts}")])
        })?;
    }
    let mut mixed = pod("by-resolver", "mixed", "registry.example.com/new/app:1");
    mixed["spec"]["initContainers"] = json!([{ "name": "init", "image": "registry.example.com/c/app:1" }]);
    becomes(cluster, "by-resolver", &mixed, |pod, _| {
        pod["spec"]["dnsConfig"]["options"] == options(&["timeout:20", "attempts:8"])
            && pod["metadata"]["annotations"]["muslin.dev/resolvers"]
                == "init=glibc-2.36 (declared), app=musl-1.2.5 (declared)"
    })
}

fn a_profiles_levels_decide_denials(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    let spec = json!({ "rules": { "musl-no-tcp": "deny", "musl-slow-retry": "off" } });
    let (_profile, _) = applied(cluster, "no-old-musl", &spec)?;
    cluster.namespace("levels", &[("muslin.dev/profile", "no-old-musl"), ("muslin.dev/mode", "enforce")])?;
    becomes(cluster, "levels", &pod("levels", "old", "alpine:3.16"), |_, warnings| {
        warnings.contains("enforce.muslin.dev") && warnings.contains("musl-no-tcp: app: ")
    })?;
    becomes(cluster, "levels", &pod("levels", "new", "alpine:3.19"), |pod, warnings| {
        pod["metadata"]["labels"]["muslin.dev/libc"] == "musl" && !warnings.contains("musl-slow-retry")
    })
}

fn changing_a_profile_previews_the_changes_to_its_pods(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    let (_profile, told) = applied(cluster, "changing", &json!({ "options": { "mixed": ["timeout:5"] } }))?;
    ensure!(!told.contains("muslin: "), "no namespace uses it: {told}");
    cluster.namespace("changing", &[("muslin.dev/profile", "changing")])?;
    cluster.create(&pod("changing", "web", "alpine:3.19"))?;
    let deadline = Instant::now() + SOON;
    loop {
        let (again, told) = applied(cluster, "changing", &json!({ "options": { "mixed": ["timeout:7"] } }))?;
        std::mem::forget(again);
        if told.contains("muslin: 1 of 1 pods would get timeout:7, for example web") {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{told}");
        let (again, _) = applied(cluster, "changing", &json!({ "options": { "mixed": ["timeout:5"] } }))?;
        std::mem::forget(again);
    }
}

/// The profile is created, edited, renamed and deleted, and the namespace follows: each pod has all options of one profile, or of the
/// default.
fn no_pod_mixes_two_profiles_while_profiles_change(cluster: &Cluster) -> Result<()> {
    let _muslin = cluster.muslin()?;
    cluster.namespace("edited", &[("muslin.dev/profile", "edited")])?;
    let spec = |number: u32| json!({ "options": { "mixed": [format!("timeout:{}", 2 * number), format!("attempts:{number}")] } });
    let whole = |number: u32| options(&[&format!("timeout:{}", 2 * number), &format!("attempts:{number}")]);
    let wholes = [whole(6), whole(7), whole(8), Value::Null];
    let seen = [const { AtomicUsize::new(0) }; 4];
    let which = |pod: &Value| {
        let found = &pod["spec"]["dnsConfig"]["options"];
        let which = wholes.iter().position(|whole| whole == found);
        which.with_context(|| format!("half a profile: {pod:#}"))
    };
    let look = |pod: &Value| {
        seen[which(pod)?].fetch_add(1, Ordering::Relaxed);
        Ok(())
    };
    let names = |name: &str| -> Result<()> {
        let label = format!("muslin.dev/profile={name}");
        let output = cluster.control_plane.kubectl(&["label", "--overwrite", "namespace", "edited", &label], None)?;
        ensure!(output.status.success(), "{}", output.stderr);
        Ok(())
    };
    let mut number = 0;
    // kubectl also shows the warnings.
    let mut create = || -> Result<()> {
        number += 1;
        let (created, warnings) = cluster.created(&pod("edited", &format!("web-{number}"), "alpine:3.19"))?;
        ensure!((which(&created)? == 3) == warnings.contains("there is no profile `"), "{warnings}{created:#}");
        Ok(())
    };
    under_load(cluster, &pod("edited", "load", "alpine:3.19"), look, || {
        let deadline = Instant::now() + SOON;
        for round in 0.. {
            let (profile, _) = applied(cluster, "edited", &spec(6))?;
            create()?;
            applied(cluster, "edited", &spec(7)).map(|(again, _)| std::mem::forget(again))?;
            create()?;
            let (renamed, _) = applied(cluster, "renamed", &spec(8))?;
            names("renamed")?;
            drop(profile);
            create()?;
            names("edited")?;
            drop(renamed);
            create()?;
            let counts: Vec<usize> = seen.iter().map(|times| times.load(Ordering::Relaxed)).collect();
            if round >= 3 && counts.iter().all(|times| *times > 20) {
                break;
            }
            ensure!(Instant::now() < deadline, "only {counts:?}");
        }
        Ok(())
    })?;
    cluster.delete_pods("edited")
}

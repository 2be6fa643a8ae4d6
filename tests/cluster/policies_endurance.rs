//! Pods with known images, of which the policies that muslin keeps miss none and refuse none wrongly, although all replicas of muslin are
//! gone for a minute. On request: `cargo test --release --test cluster -- --ignored no_pod_of_20000`.

use std::iter::repeat;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::cluster::certificates::is_settled;
use crate::cluster::endurance::{Load, Made, Outcome, PODS, Shared};
use crate::cluster::inspection::Fingerprints;
use crate::cluster::policies::kubernetes;
use crate::cluster::policies_beside_webhook::{
    KNOWN, NAMESPACE, PROFILE, Rights, declare, let_the_webhook_of_enforce_fail_open, wait_for_mark,
};
use crate::cluster::profiles::applied;
use crate::cluster::replicas::{Replicas, wait};
use crate::common::harness::tests;
use crate::common::pods::pod;
use crate::{Cluster, Topic};

pub(crate) const ON_REQUEST: Topic = tests![no_pod_of_20000_is_missed_while_muslin_is_gone_for_a_minute];

/// The time for which no replica runs.
const GONE: Duration = Duration::from_secs(60);

/// In the enforcing namespace, one pod of this many has a finding of level `deny` that muslin does not fix.
const BROKEN_EACH: usize = 20;

fn known(shared: &Shared, number: usize) -> Value {
    pod(&shared.namespace, &format!("pod-{number}"), KNOWN)
}

/// Returns a pod for the enforcing namespace.
fn known_or_broken(shared: &Shared, number: usize) -> Value {
    let mut pod = known(shared, number);
    if number.is_multiple_of(BROKEN_EACH) {
        let zero = json!([{ "name": "attempts", "value": "0" }]);
        pod["spec"]["dnsConfig"] = json!({ "options": zero, "searches": ["example.com"] });
    }
    pod
}

fn no_pod_of_20000_is_missed_while_muslin_is_gone_for_a_minute(cluster: &Cluster) -> Result<()> {
    if kubernetes().is_none() {
        return Ok(());
    }
    let _fingerprints = Fingerprints::apply(cluster)?;
    let _rights = Rights::apply(cluster)?;
    let (_profile, _) = applied(cluster, PROFILE, &json!({ "options": { "musl": ["timeout:4"] } }))?;
    let profile = ("muslin.dev/profile", PROFILE);
    cluster.namespace(NAMESPACE, &[profile])?;
    declare(cluster, '1', KNOWN, "musl 1.2.5")?;
    let replicas = Replicas::start(cluster, 3, &["--policies", "--inspect-images", "--inspection-budget", "0"])?;
    wait("settled", || is_settled(cluster))?;
    let_the_webhook_of_enforce_fail_open(cluster)?;
    wait_for_mark(cluster, KNOWN)?;

    let options = json!([{ "name": "timeout", "value": "4" }]);
    let injecting = Load::start(cluster, &[profile], Shared::new("lasting", KNOWN, options.clone(), known))?;
    let enforcing = Load::start(
        cluster,
        &[profile, ("muslin.dev/mode", "enforce")],
        Shared::new("lasting-enforcing", KNOWN, options, known_or_broken),
    )?;
    let made = || injecting.made() + enforcing.made();
    let reach = |number| {
        while made() < number {
            thread::sleep(Duration::from_millis(20));
        }
    };
    reach(PODS / 3);
    let gone = Instant::now();
    replicas.kill_all()?;
    thread::sleep(GONE);
    for _ in 0..3 {
        replicas.add()?;
    }
    let back = Instant::now();
    let while_gone = |made: &[Made]| made.iter().filter(|made| made.began >= gone && made.ended <= back).count();
    reach(PODS.max(made() + PODS / 10));

    let (injecting, enforcing) = (injecting.stop(cluster)?, enforcing.stop(cluster)?);
    let (mut denied, mut fixed, mut wrong) = (0, 0, Vec::new());
    for (made, is_enforced) in injecting.iter().zip(repeat(false)).chain(enforcing.iter().zip(repeat(true))) {
        match &made.outcome {
            Outcome::Fixed => {}
            Outcome::Failed(error) if is_enforced && error.contains("attempts-zero") => denied += 1,
            // The webhook fixes what the policies leave, while it is there.
            Outcome::Missed(pod) if is_enforced && pod.contains("(was attempts:0)") => fixed += 1,
            outcome => {
                let (gone, back) =
                    (made.began.saturating_duration_since(gone), made.began.saturating_duration_since(back));
                wrong.push(format!("{gone:?} after muslin was killed, {back:?} after it was back: {outcome:?}"));
            }
        }
    }
    ensure!(
        wrong.is_empty(),
        "{} of {}: {:#?}",
        wrong.len(),
        injecting.len() + enforcing.len(),
        wrong.iter().take(5).collect::<Vec<_>>()
    );
    ensure!(denied + fixed == enforcing.len().div_ceil(BROKEN_EACH), "{denied} {fixed} {}", enforcing.len());
    ensure!(denied > 0, "nothing judged the pods while muslin was gone");
    eprintln!(
        "of {} pods {} were created while muslin was gone, and {} in mode enforce; {denied} \
         with attempts:0 were denied then, no other",
        injecting.len() + enforcing.len(),
        while_gone(&injecting) + while_gone(&enforcing),
        while_gone(&enforcing),
    );
    Ok(())
}

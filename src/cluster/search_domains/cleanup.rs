//! Deletes the observations that no pod renews: the node is gone, muslin moved to another, or no profile has `search` any more. Also removes
//! from an observation what a watcher wrote that is gone. Must not know how a domain is checked.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use super::observation::is_within;
use crate::cluster::lease::Lease;
use crate::cluster::resources::{DNSObservation, DNSObservationSpec};
use crate::cluster::writes::{WriteError, write};

/// Age from which an observation is deleted. Long after it stopped to count, so that an administrator can still look at it.
const KEPT: SignedDuration = SignedDuration::from_hours(1);
/// Time between two looks of the leader.
const EVERY: Duration = Duration::from_mins(10);
/// Time between two looks at whether this replica leads.
const LEADS: Duration = Duration::from_secs(5);
/// The most deletions of one look.
const DELETED_MAX: usize = 100;
/// Observations on one page of the list.
const PAGE: u32 = 500;

/// The part of an observation that nothing renews.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Old {
    Nothing,
    Watch,
    Everything,
}

/// Deletes old observations while this replica is the leader, in a task that lives as long as the process. Needs the rights list, patch and
/// delete on dnsobservations.
pub fn delete_old_observations(client: Client, lease: Lease) {
    tokio::spawn(async move {
        let api = Api::all(client);
        let mut ticks = interval(LEADS);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if !lease.is_held() {
                continue;
            }
            match delete_old(&api, Timestamp::now()).await {
                Ok(0) => {}
                Ok(deleted) => tracing::info!(deleted, "deleted observations of search domains that no pod renews"),
                // A cluster whose definitions are older than muslin.
                Err(WriteError::Api(error)) if matches!(&*error, kube::Error::Api(status) if status.code == 404) => {}
                Err(error) => tracing::warn!(%error, "cannot delete old observations of search domains"),
            }
            tokio::time::sleep(EVERY).await;
        }
    });
}

/// Returns what of an observation is old. A watcher renews its part at least every five minutes, and the domains with it.
fn old(spec: &DNSObservationSpec, now: Timestamp) -> Old {
    let is_kept = |time: Timestamp| is_within(time, now, KEPT);
    match &spec.watch {
        Some(watch) if is_kept(watch.checked_at.0) => Old::Nothing,
        Some(_) if is_kept(spec.checked_at.0) => Old::Watch,
        None if is_kept(spec.checked_at.0) => Old::Nothing,
        _ => Old::Everything,
    }
}

/// Deletes old observations, and the old parts of others, and returns the number of both.
async fn delete_old(api: &Api<DNSObservation>, now: Timestamp) -> Result<usize, WriteError> {
    let mut parameters = ListParams::default().limit(PAGE);
    let mut deleted = 0;
    loop {
        let page = write(api.list(&parameters)).await?;
        for object in &page.items {
            let old = old(&object.spec, now);
            if old == Old::Nothing {
                continue;
            }
            if deleted == DELETED_MAX {
                return Ok(deleted);
            }
            let result = match old {
                Old::Watch => forget_watch(api, object).await,
                _ => delete(api, object).await,
            };
            match result {
                Ok(()) => deleted += 1,
                Err(error) if error.is_overtaken() => {}
                Err(error) => return Err(error),
            }
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters = parameters.continue_token(&token),
            None => return Ok(deleted),
        }
    }
}

/// Deletes an observation, unless its pod has just renewed it.
async fn delete(api: &Api<DNSObservation>, object: &DNSObservation) -> Result<(), WriteError> {
    let preconditions = Preconditions { resource_version: object.resource_version(), uid: object.uid() };
    let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    write(api.delete(&object.name_any(), &parameters)).await.map(|_| ())
}

/// Removes what a watcher wrote that is gone, unless it has just come back. A pod of `muslin serve` renews the rest.
async fn forget_watch(api: &Api<DNSObservation>, object: &DNSObservation) -> Result<(), WriteError> {
    let version = object.resource_version();
    let patch = json!({ "metadata": { "resourceVersion": version }, "spec": { "watch": null } });
    write(api.patch(&object.name_any(), &PatchParams::default(), &Patch::Merge(patch))).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn old_at(checked: Timestamp, watched: Option<Timestamp>) -> Old {
        let watch =
            watched.map_or(Value::Null, |at| json!({ "pod": "w", "version": "1", "checkedAt": at, "rounds": 1 }));
        let spec = json!({ "pod": "m", "nameservers": [], "checkedAt": checked, "watch": watch });
        old(&serde_json::from_value(spec).unwrap(), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn the_part_of_a_watcher_that_is_gone_is_removed_and_the_rest_stays() {
        let (new, past) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH - KEPT);
        assert_eq!([old_at(new, None), old_at(past, None)], [Old::Nothing, Old::Everything]);
        assert_eq!([old_at(new, Some(new)), old_at(past, Some(new))], [Old::Nothing, Old::Nothing]);
        assert_eq!([old_at(new, Some(past)), old_at(past, Some(past))], [Old::Watch, Old::Everything]);
    }
}

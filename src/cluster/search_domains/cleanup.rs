//! Deletes the observations that no pod renews: the node is gone, muslin moved to another, or no profile has `search` any more. Must not
//! know how a domain is checked.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::api::{DeleteParams, ListParams, Preconditions};
use kube::{Api, Client, ResourceExt as _};
use tokio::time::{MissedTickBehavior, interval};

use super::observation::is_within;
use crate::cluster::lease::Lease;
use crate::cluster::resources::DNSObservation;
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

/// Deletes old observations while this replica is the leader, in a task that lives as long as the process. Needs the rights list and delete
/// on dnsobservations.
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

/// Deletes old observations, and returns their number.
async fn delete_old(api: &Api<DNSObservation>, now: Timestamp) -> Result<usize, WriteError> {
    let mut parameters = ListParams::default().limit(PAGE);
    let mut deleted = 0;
    loop {
        let page = write(api.list(&parameters)).await?;
        for object in page.items.iter().filter(|object| !is_within(object.spec.checked_at.0, now, KEPT)) {
            if deleted == DELETED_MAX {
                return Ok(deleted);
            }
            // Not if its pod has just renewed it.
            let preconditions = Preconditions { resource_version: object.resource_version(), uid: object.uid() };
            let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
            match write(api.delete(&object.name_any(), &parameters)).await {
                Ok(_) => deleted += 1,
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

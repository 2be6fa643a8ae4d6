//! Writes what the watcher of one node saw. Must not know how it watches.

use kube::api::{Patch, PatchParams};
use kube::{Api, Client};

use crate::cluster::resources::{DNSObservation, DNSObservationSpec, ObservedWatch};
use crate::cluster::writes::{WATCH_FIELD_MANAGER, WriteError, write};

/// Writes the observation of a node, the search domains included, and returns the object, for Events about it. A pod of `muslin serve` on
/// the node stops writing the domains while `spec.pod` is the watcher's and `spec.checked_at` is fresh; plans go by `spec.nameservers` as
/// the addresses of the cluster's DNS. Needs the rights create and patch on dnsobservations.
///
/// # Errors
/// The API server denied the write, or does not answer.
pub async fn publish_watch(
    client: Client,
    node: &str,
    mut spec: DNSObservationSpec,
) -> Result<DNSObservation, WriteError> {
    spec.watch = spec.watch.map(ObservedWatch::bounded);
    let api: Api<DNSObservation> = Api::all(client);
    let parameters = PatchParams::apply(WATCH_FIELD_MANAGER).force();
    write(api.patch(node, &parameters, &Patch::Apply(&DNSObservation::new(node, spec)))).await
}

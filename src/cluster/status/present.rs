//! A list of a resource that a cluster may not have. Must not know which resource.

use crate::cluster::doctor::unseen;
use crate::doctor::Seen;

/// Returns an empty list where the resource does not exist.
pub(super) fn present<T: Default>(seen: Result<T, kube::Error>) -> Seen<T> {
    match seen {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(T::default()),
        seen => seen.map_err(|error| unseen(&error)),
    }
}

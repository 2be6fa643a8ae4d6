//! What is said to whoever applies a profile: what is wrong with it, and what the pods of the namespaces that use it would get. Must
//! not know of HTTP.

use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::cluster::{ResolverProfile, SelectedProfile};
use crate::policy::Mode;

use crate::admission::metrics::Outcome;
use crate::admission::review::{Request, Verdict};
use crate::admission::webhook::{Answered, Inner};

/// How many problems a refusal names.
const PROBLEMS_MAX: usize = 5;

impl Inner {
    /// Refuses a profile that is not in order, and tells what it would change.
    pub(in crate::admission) async fn change_profile(
        &self,
        request: &Request<'_, &RawValue>,
        deadline: Instant,
    ) -> Answered {
        let uid = &*request.uid;
        let Some(object) = request.object.filter(|_| request.writes_a_profile()) else {
            return Answered::skipped(uid);
        };
        let resource: ResolverProfile = match serde_json::from_str(object.get()) {
            Ok(resource) => resource,
            // The API server has held it against the schema: muslin and the definition of the resource are of different releases.
            Err(error) => {
                let warning = format!("muslin: this release of muslin cannot read the profile: {error}");
                return Answered::new(uid, Outcome::Failed, None, &Verdict::default().with_warnings([warning]));
            }
        };
        let name = resource.metadata.name.clone().unwrap_or_default();
        let chosen = match self.caught(uid, || SelectedProfile::from_resource(&resource)) {
            Some(Ok(chosen)) => chosen,
            None => {
                let warning = "muslin: muslin failed on this profile, which is not used; please report it".to_owned();
                return Answered::new(uid, Outcome::Failed, None, &Verdict::default().with_warnings([warning]));
            }
            Some(Err(problems)) => {
                let told: Vec<String> = problems.iter().take(PROBLEMS_MAX).map(ToString::to_string).collect();
                return Answered::new(uid, Outcome::Denied, None, &Verdict::default().denied(told.join("; ")));
            }
        };
        let used_by: Vec<_> = self
            .namespaces
            .using(&name, &self.settings.profile)
            .into_iter()
            .map(|(namespace, policy)| (namespace.to_string(), policy.mode(self.settings.default_mode)))
            .filter(|(namespace, mode)| *mode != Mode::Off && !self.is_excluded(namespace))
            .collect();
        let warnings = self.preview(&used_by, &chosen, deadline).await;
        Answered::new(uid, Outcome::Unchanged, None, &Verdict::default().with_warnings(warnings))
    }
}

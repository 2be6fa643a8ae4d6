//! The serving certificate, and the trust of the webhook configurations in it.

use jiff::{SignedDuration, Timestamp};

use crate::doctor::check::Check;
use crate::doctor::observed::{CertificateFacts, Observed, ServingSecret, Trust};

/// The rest of a certificate's validity from which on the check warns. muslin renews its own ten days before the end.
const SOON: SignedDuration = SignedDuration::from_hours(7 * 24);

pub(super) fn certificate(observed: &Observed) -> Check {
    const NAME: &str = "certificate";
    let ServingSecret { name: secret, is_muslins, certificate } = &observed.secret;
    let fix = fix(observed, *is_muslins);
    let CertificateFacts { from, until, names } = match certificate {
        Ok(Some(certificate)) => certificate,
        Ok(None) => {
            return Check::wrong(NAME, format!("the Secret {secret} has no readable serving certificate"), fix);
        }
        Err(unseen) => return unseen.check(NAME, &format!("the Secret {secret}")),
    };
    let day = |time: Timestamp| time.strftime("%Y-%m-%d %H:%M UTC").to_string();
    if observed.now < *from {
        let message = format!("the serving certificate is valid from {} on, which is not yet", day(*from));
        return Check::wrong(NAME, message, format!("check the clocks of the nodes; {fix}"));
    }
    if observed.now >= *until {
        return Check::wrong(NAME, format!("the serving certificate expired at {}", day(*until)), fix);
    }
    let service = format!("muslin.{}.svc", observed.namespace);
    let calls_service = observed.configurations.iter().any(|found| {
        found
            .as_ref()
            .ok()
            .and_then(Option::as_ref)
            .is_some_and(|found| found.pointer("/webhooks/0/clientConfig/service").is_some())
    });
    if calls_service && !names.contains(&service) {
        let message = format!("the serving certificate is for {}, and API servers call {service}", names.join(", "));
        return Check::wrong(NAME, message, fix);
    }
    let rest = until.duration_since(observed.now);
    let days = rest.as_hours() / 24;
    if rest < SOON {
        return Check::warning(
            NAME,
            format!("the serving certificate expires in {days} days, at {}", day(*until)),
            fix,
        );
    }
    Check::ok(NAME, format!("the serving certificate is valid for another {days} days"))
}

pub(super) fn ca_bundle(observed: &Observed) -> Check {
    const NAME: &str = "ca-bundle";
    let is_muslins = observed.secret.is_muslins;
    if let Some(unseen) = observed.configurations.iter().find_map(|found| found.as_ref().err()) {
        return unseen.check(NAME, "webhook configurations");
    }
    let fix = || {
        if is_muslins {
            format!(
                "muslin writes caBundle itself within seconds while it runs and may update the configurations: see the checks pods and \
                 rights, and kubectl logs -n {} deployment/muslin",
                observed.namespace
            )
        } else {
            "write the CA of your certificate into caBundle of both configurations (certs/README.md); with cert-manager, look at the log of \
             its cainjector"
                .to_owned()
        }
    };
    let problem = |trust: Trust| match trust {
        Trust::Trusted | Trust::Unknown => None,
        Trust::Empty => Some("is empty"),
        Trust::Unreadable => Some("has no readable certificate"),
        Trust::Foreign => Some("does not contain the CA of the serving certificate"),
        Trust::Expired => Some("contains the CA of the serving certificate, which is not valid now"),
    };
    let found = observed.trust.iter().find_map(|one| problem(one.trust).map(|problem| (one, problem)));
    if let Some((one, problem)) = found {
        let message = format!("caBundle of the webhook {} {problem}, so API servers do not trust muslin", one.webhook);
        return Check::wrong(NAME, message, fix());
    }
    if observed.trust.is_empty() {
        return Check::wrong(NAME, "there is no webhook with a caBundle", "the check webhooks has the reason");
    }
    if observed.trust.iter().any(|one| one.trust == Trust::Unknown) {
        return Check::unknown(
            NAME,
            "the serving certificate is not known, so its CA cannot be looked for",
            "the check certificate has the reason",
        );
    }
    Check::ok(NAME, format!("all {} webhooks trust the serving certificate", observed.trust.len()))
}

fn fix(observed: &Observed, is_muslins: bool) -> String {
    if is_muslins {
        format!(
            "muslin issues and renews it while it runs and may update the Secret: see the checks pods and rights, and kubectl logs -n {} \
             deployment/muslin",
            observed.namespace
        )
    } else {
        "renew your certificate (certs/README.md); with cert-manager, kubectl describe certificate says why it does not"
            .to_owned()
    }
}

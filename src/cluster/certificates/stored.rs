//! The Secret with the certificates: reads and writes the rotation's state. Must not know when the state changes, or why.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use serde::{Deserialize, Serialize};

use super::certificate::{Certificate, Pair};
use super::rotation::{RotationRequest, State};

/// The name of the Secret in `manifests/`.
pub(in crate::cluster) const SECRET: &str = "muslin-certificates";
/// The annotation that requests a rotation before it is due: `certificate` or `authority`.
const ROTATE: &str = "muslin.dev/rotate";

const LEAF: PairKeys = PairKeys { certificate: "tls.crt", key: "tls.key" };
const AUTHORITY: PairKeys = PairKeys { certificate: "ca.crt", key: "ca.key" };
const NEXT: PairKeys = PairKeys { certificate: "next-ca.crt", key: "next-ca.key" };
const RETIRED: &str = "retired-ca.crt";
const ROTATION: &str = "rotation.json";

/// The keys of a certificate and its private key in the Secret.
struct PairKeys {
    certificate: &'static str,
    key: &'static str,
}

/// Rotation state stored beside the certificates.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Rotation {
    revision: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    published: Option<Timestamp>,
    #[serde(rename = "tookOver", skip_serializing_if = "Option::is_none")]
    activated_at: Option<Timestamp>,
}

/// Reads the state; an empty Secret has the first one.
pub(super) fn read_state(secret: &Secret) -> State {
    let bytes = |name: &str| secret.data.as_ref().and_then(|data| data.get(name)).map_or(&[][..], |bytes| &bytes.0);
    let pair = |PairKeys { certificate, key }: &PairKeys| Pair::parse(bytes(certificate), bytes(key));
    let Rotation { revision, published, activated_at } = serde_json::from_slice(bytes(ROTATION)).unwrap_or_default();
    let authority = pair(&AUTHORITY).filter(|authority| authority.certificate.is_authority());
    let mut retired = Certificate::parse_all(bytes(RETIRED));
    if authority.is_none() {
        // A CA without its key cannot issue, but a served certificate may be one of its.
        let orphans = Certificate::parse_all(bytes(AUTHORITY.certificate)).into_iter();
        retired.extend(orphans.take(1).filter(Certificate::is_authority));
    }
    let request = secret.metadata.annotations.as_ref().and_then(|annotations| annotations.get(ROTATE));
    State {
        revision,
        authority,
        next: pair(&NEXT).filter(|next| next.certificate.is_authority()),
        published,
        leaf: pair(&LEAF),
        retired,
        activated_at,
        request: request.and_then(|request| match request.as_str() {
            "certificate" => Some(RotationRequest::Certificate),
            "authority" => Some(RotationRequest::Authority),
            _ => None,
        }),
    }
}

/// Returns the certificates of the Secret that cannot be used: they are unreadable, or do not fit their key or the CAs. The rotation
/// replaces them.
pub(super) fn unusable(secret: &Secret, state: &State) -> Vec<&'static str> {
    let is_there = |keys: &PairKeys| secret.data.as_ref().is_some_and(|data| data.contains_key(keys.certificate));
    let is_issued = |leaf: &Pair| state.trusted().into_iter().any(|authority| leaf.certificate.is_issued_by(authority));
    let unusable = [
        (&AUTHORITY, state.authority.is_none()),
        (&NEXT, state.next.is_none()),
        (&LEAF, !state.leaf.as_ref().is_some_and(is_issued)),
    ];
    let unusable = unusable.into_iter().filter(|(keys, is_unusable)| *is_unusable && is_there(keys));
    unusable.map(|(keys, _)| keys.certificate).collect()
}

/// Returns the Secret with a new state and all else unchanged, including the resource version, which makes a write from an older
/// Secret fail.
pub(super) fn with_state(secret: &Secret, state: &State) -> Result<Secret, serde_json::Error> {
    let State { revision, authority, next, published, leaf, retired, activated_at, request } = state;
    let mut secret = secret.clone();
    let data = secret.data.get_or_insert_default();
    put_pair(data, &AUTHORITY, authority.as_ref());
    put_pair(data, &NEXT, next.as_ref());
    put_pair(data, &LEAF, leaf.as_ref());
    let retired: String = retired.iter().map(|certificate| certificate.pem.as_str()).collect();
    put_text(data, RETIRED, Some(retired.as_str()).filter(|text| !text.is_empty()));
    let rotation = Rotation { revision: *revision, published: *published, activated_at: *activated_at };
    data.insert(ROTATION.to_owned(), ByteString(serde_json::to_vec(&rotation)?));
    if request.is_none()
        && let Some(annotations) = &mut secret.metadata.annotations
    {
        annotations.remove(ROTATE);
    }
    Ok(secret)
}

fn put_pair(data: &mut BTreeMap<String, ByteString>, keys: &PairKeys, pair: Option<&Pair>) {
    put_text(data, keys.certificate, pair.map(|pair| pair.certificate.pem.as_str()));
    put_text(data, keys.key, pair.map(|pair| pair.key.as_str()));
}

fn put_text(data: &mut BTreeMap<String, ByteString>, name: &str, text: Option<&str>) {
    match text {
        Some(text) => data.insert(name.to_owned(), ByteString(text.as_bytes().to_vec())),
        None => data.remove(name),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::certificates::issue::CertificateSpec;

    #[test]
    fn reads_a_state_as_it_was_written() {
        let spec = CertificateSpec::for_service("muslin", "muslin", "cluster.local");
        let now: Timestamp = "2026-03-01T12:00:00.25Z".parse().unwrap();
        let authority = spec.new_authority(now).unwrap();
        let state = State {
            revision: 7,
            leaf: Some(spec.new_leaf(&authority, now).unwrap()),
            authority: Some(authority),
            next: Some(spec.new_authority(now).unwrap()),
            published: Some(now),
            retired: vec![spec.new_authority(now).unwrap().certificate, spec.new_authority(now).unwrap().certificate],
            activated_at: Some(now),
            request: None,
        };
        let secret = with_state(&Secret::default(), &state).unwrap();
        assert_eq!(read_state(&secret), state);
        let less = State { revision: 8, next: None, published: None, retired: Vec::new(), ..state };
        assert_eq!(read_state(&with_state(&secret, &less).unwrap()), less);
    }

    #[test]
    fn reads_nothing_from_an_empty_secret_or_garbage() {
        assert_eq!(read_state(&Secret::default()), State::default());
        let names = ["tls.crt", "tls.key", "ca.crt", "ca.key", "next-ca.crt", RETIRED, ROTATION];
        let data = names.map(|name| (name.to_owned(), ByteString(b"-----BEGIN CERTIFICATE-----".to_vec())));
        let secret = Secret { data: Some(data.into()), ..Secret::default() };
        assert_eq!(read_state(&secret), State::default());
    }

    #[test]
    fn a_key_that_does_not_fit_its_certificate_is_unusable() {
        let spec = CertificateSpec::for_service("muslin", "muslin", "cluster.local");
        let now = Timestamp::now();
        let [authority, other] = [spec.new_authority(now).unwrap(), spec.new_authority(now).unwrap()];
        let leaf = spec.new_leaf(&authority, now).unwrap();
        let good = State { authority: Some(authority.clone()), leaf: Some(leaf.clone()), ..State::default() };
        let stored = with_state(&Secret::default(), &good).unwrap();
        assert_eq!(unusable(&stored, &read_state(&stored)), [""; 0]);
        let with = |name: &str, text: &str| {
            let mut secret = stored.clone();
            put_text(secret.data.get_or_insert_default(), name, Some(text));
            let state = read_state(&secret);
            (unusable(&secret, &state), state)
        };
        let (found, state) = with("tls.key", &other.key);
        assert!(found == ["tls.crt"] && state.leaf.is_none());
        let (found, state) = with("ca.key", &other.key);
        assert_eq!(found, ["ca.crt"]);
        assert_eq!(
            (state.authority, state.retired),
            (None, vec![authority.certificate]),
            "its certificates stay trusted"
        );
        assert_eq!(state.leaf, Some(leaf));
        let foreign = spec.new_leaf(&other, now).unwrap();
        let mut secret = stored.clone();
        put_pair(secret.data.get_or_insert_default(), &LEAF, Some(&foreign));
        assert_eq!(unusable(&secret, &read_state(&secret)), ["tls.crt"], "of another CA");
    }

    #[test]
    fn a_requested_rotation_is_an_annotation_that_is_removed_when_done() {
        let mut secret = Secret::default();
        secret.metadata.annotations = Some([(ROTATE.to_owned(), "authority".to_owned())].into());
        let state = read_state(&secret);
        assert_eq!(state.request, Some(RotationRequest::Authority));
        assert_eq!(read_state(&with_state(&secret, &state).unwrap()).request, Some(RotationRequest::Authority));
        let done = State { request: None, ..state };
        assert_eq!(read_state(&with_state(&secret, &done).unwrap()).request, None);
    }
}

//! The Secret in which the certificates are kept, and how a state is written in it. Must not know when it changes, or why.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use serde::{Deserialize, Serialize};

use super::certificate::{Certificate, Pair};
use super::rotation::{State, Wish};

/// By what name `manifests/` make the Secret.
pub(super) const SECRET: &str = "muslin-certificates";
/// The annotation by which a person asks for a rotation before it is due: `certificate` or `authority`.
const ROTATE: &str = "muslin.dev/rotate";

const LEAF: Names = Names { certificate: "tls.crt", key: "tls.key" };
const AUTHORITY: Names = Names { certificate: "ca.crt", key: "ca.key" };
const NEXT: Names = Names { certificate: "next-ca.crt", key: "next-ca.key" };
const RETIRED: &str = "retired-ca.crt";
const ROTATION: &str = "rotation.json";

/// By what names a certificate and its key stand in the Secret.
struct Names {
    certificate: &'static str,
    key: &'static str,
}

/// What is no certificate.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Rotation {
    revision: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    published: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    took_over: Option<Timestamp>,
}

/// The state that a Secret holds; an empty one holds the first.
pub(super) fn read(secret: &Secret) -> State {
    let bytes = |name: &str| secret.data.as_ref().and_then(|data| data.get(name)).map_or(&[][..], |bytes| &bytes.0);
    let pair = |Names { certificate, key }: &Names| Pair::read(bytes(certificate), bytes(key));
    let Rotation { revision, published, took_over } = serde_json::from_slice(bytes(ROTATION)).unwrap_or_default();
    let wish = secret.metadata.annotations.as_ref().and_then(|annotations| annotations.get(ROTATE));
    State {
        revision,
        authority: pair(&AUTHORITY),
        next: pair(&NEXT),
        published,
        leaf: pair(&LEAF),
        retired: Certificate::all(bytes(RETIRED)),
        took_over,
        wish: wish.and_then(|wish| match wish.as_str() {
            "certificate" => Some(Wish::Certificate),
            "authority" => Some(Wish::Authority),
            _ => None,
        }),
    }
}

/// The Secret with that state in it, and all else as it was: its resource version, too, so that it is written only over what it was
/// made from.
pub(super) fn written(secret: &Secret, state: &State) -> Result<Secret, serde_json::Error> {
    let State { revision, authority, next, published, leaf, retired, took_over, wish } = state;
    let mut secret = secret.clone();
    let data = secret.data.get_or_insert_default();
    put(data, &AUTHORITY, authority.as_ref());
    put(data, &NEXT, next.as_ref());
    put(data, &LEAF, leaf.as_ref());
    let retired: String = retired.iter().map(|certificate| certificate.pem.as_str()).collect();
    put_text(data, RETIRED, Some(retired.as_str()).filter(|text| !text.is_empty()));
    let rotation = Rotation { revision: *revision, published: *published, took_over: *took_over };
    data.insert(ROTATION.to_owned(), ByteString(serde_json::to_vec(&rotation)?));
    if wish.is_none()
        && let Some(annotations) = &mut secret.metadata.annotations
    {
        annotations.remove(ROTATE);
    }
    Ok(secret)
}

fn put(data: &mut BTreeMap<String, ByteString>, names: &Names, pair: Option<&Pair>) {
    put_text(data, names.certificate, pair.map(|pair| pair.certificate.pem.as_str()));
    put_text(data, names.key, pair.map(|pair| pair.key.as_str()));
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
    fn a_state_is_read_as_it_was_written() {
        let terms = CertificateSpec::for_service("muslin", "muslin", "cluster.local");
        let now: Timestamp = "2026-03-01T12:00:00.25Z".parse().unwrap();
        let authority = terms.new_authority(now).unwrap();
        let state = State {
            revision: 7,
            leaf: Some(terms.new_leaf(&authority, now).unwrap()),
            authority: Some(authority),
            next: Some(terms.new_authority(now).unwrap()),
            published: Some(now),
            retired: vec![terms.new_authority(now).unwrap().certificate, terms.new_authority(now).unwrap().certificate],
            took_over: Some(now),
            wish: None,
        };
        let secret = written(&Secret::default(), &state).unwrap();
        assert_eq!(read(&secret), state);
        let less = State { revision: 8, next: None, published: None, retired: Vec::new(), ..state };
        assert_eq!(read(&written(&secret, &less).unwrap()), less);
    }

    #[test]
    fn an_empty_secret_holds_nothing_and_so_does_garbage() {
        assert_eq!(read(&Secret::default()), State::default());
        let names = ["tls.crt", "tls.key", "ca.crt", "ca.key", "next-ca.crt", RETIRED, ROTATION];
        let data = names.map(|name| (name.to_owned(), ByteString(b"-----BEGIN CERTIFICATE-----".to_vec())));
        let secret = Secret { data: Some(data.into()), ..Secret::default() };
        assert_eq!(read(&secret), State::default());
    }

    #[test]
    fn a_wish_is_an_annotation_that_goes_when_it_is_fulfilled() {
        let mut secret = Secret::default();
        secret.metadata.annotations = Some([(ROTATE.to_owned(), "authority".to_owned())].into());
        let state = read(&secret);
        assert_eq!(state.wish, Some(Wish::Authority));
        assert_eq!(read(&written(&secret, &state).unwrap()).wish, Some(Wish::Authority));
        let fulfilled = State { wish: None, ..state };
        assert_eq!(read(&written(&secret, &fulfilled).unwrap()).wish, None);
    }
}

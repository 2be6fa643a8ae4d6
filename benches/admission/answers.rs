//! Webhooks that know their answer beforehand, on muslin's own server: one allows, one answers with a fixed patch, one
//! with what muslin answered to the same pod. They read of a review only its uid.

use std::io::{self, Write as _};
use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::post;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::ValueEnum;
use muslin::admission::{Keys, Limits, Metrics, Server, Shutdown, server_config};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::INJECTED;

/// What a webhook answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Answer {
    Allow,
    Patch,
    Replay,
}

// === impl Answer ===

impl Answer {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Patch => "patch",
            Self::Replay => "replay",
        }
    }

    /// The answer, around the uid.
    fn halves(self, of_muslin: Option<String>) -> (String, String) {
        let mut response = json!({ "uid": "UID", "allowed": true });
        if self == Self::Patch {
            let options: Vec<Value> =
                INJECTED.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
            let patch = json!([{ "op": "add", "path": "/spec/dnsConfig", "value": { "options": options } }]);
            response["patchType"] = json!("JSONPatch");
            response["patch"] = json!(BASE64_STANDARD.encode(patch.to_string()));
        }
        let fixed = json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response });
        let review = of_muslin.filter(|_| self == Self::Replay).unwrap_or_else(|| fixed.to_string());
        let (before, after) = review.split_once("UID").unwrap_or_default();
        (before.to_owned(), after.to_owned())
    }
}

/// Serves until it is killed. Says on stdout where, and with which certificate.
pub(crate) fn serve(answer: Answer, of_muslin: Option<String>) -> Result<()> {
    // Self-signed, so that the certificate is its own CA.
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).context("making a certificate")?;
    let certificate = certified.cert.pem();
    let keys = Keys::from_pem(certificate.as_bytes(), certified.signing_key.serialize_pem().as_bytes())
        .context("using the certificate")?;
    let tls = server_config(Arc::new(keys)).context("configuring TLS")?;

    let (before, after) = answer.halves(of_muslin);
    let handler = async move |review: Bytes| match uid(&review) {
        Some(uid) => Ok(([(CONTENT_TYPE, "application/json")], [before.as_bytes(), uid, after.as_bytes()].concat())),
        None => Err(StatusCode::BAD_REQUEST),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("listening on loopback")?;
        let address = listener.local_addr().context("reading the port")?;
        write!(io::stdout().lock(), "https://{address}/mutate\n{certificate}").context("printing the address")?;
        let server = Server::new(listener, Some(tls), Limits::default(), Arc::new(Metrics::default()));
        server.run(Router::new().route("/mutate", post(handler)), Shutdown::default()).await;
        Ok(())
    })
}

/// The API server writes the review's uid before anything else that could be called so.
fn uid(review: &[u8]) -> Option<&[u8]> {
    let key = br#""uid":""#;
    let start = review.windows(key.len()).position(|window| window == key)? + key.len();
    let length = review[start..].iter().position(|byte| *byte == b'"')?;
    Some(&review[start..start + length])
}

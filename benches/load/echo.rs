//! The echo server: muslin's own serving code, but its webhook reads the whole review and answers with as many bytes as
//! muslin does. What muslin is slower than this is what its reviews cost. It must not look at the review; asked to, it walks
//! over its JSON once and keeps nothing, which is the least that any webhook on this stack does with it.

use std::hint::black_box;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::http::header::CONTENT_TYPE;
use axum::routing::post;
use muslin::admission::{Keys, Limits, Metrics, Server, Shutdown, server_config};
use serde::de::IgnoredAny;
use tokio::net::TcpListener;
use tokio::runtime;

/// The largest body that is read, in bytes, as for muslin.
const BODY_MAX: usize = 8 * 1024 * 1024;

/// Serves until it is killed. Says on stdout where, and with which certificate, as muslin does.
pub(crate) fn serve(answer_bytes: usize, walk: bool) -> Result<()> {
    // Self-signed, so that the certificate is its own CA.
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).context("make a certificate")?;
    let certificate = certified.cert.pem();
    let keys = Keys::from_pem(certificate.as_bytes(), certified.signing_key.serialize_pem().as_bytes())
        .context("use the certificate")?;
    let tls = server_config(Arc::new(keys)).context("configure TLS")?;

    let runtime = runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("listen on loopback")?;
        let address = listener.local_addr().context("read the port")?;
        write!(io::stdout().lock(), "https://{address}/mutate\n{certificate}").context("print the address")?;
        let server = Server::new(listener, Some(tls), Limits::default(), Arc::new(Metrics::default()));
        server.run(router(answer_bytes, walk), Shutdown::default()).await;
        Ok(())
    })
}

fn router(answer_bytes: usize, walk: bool) -> Router {
    let answer = Bytes::from(vec![b' '; answer_bytes]);
    let echo = async move |review: Bytes| {
        if walk {
            let _ = black_box(serde_json::from_slice::<IgnoredAny>(&review));
        }
        black_box(&review);
        ([(CONTENT_TYPE, "application/json")], answer)
    };
    Router::new().route("/mutate", post(echo)).layer(DefaultBodyLimit::max(BODY_MAX))
}

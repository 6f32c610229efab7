//! The peer of our collector: the same framework and TLS with nothing behind them.
//!
//! It reads the same messages, compares one digest in a map and answers the same types. It stores
//! nothing, decides nothing and lets everybody in: what our collector costs above it is the product.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum_server::tls_rustls::RustlsConfig;
use driftline_protocol::ids::{Digest, Generation, HostId};
use driftline_protocol::wire::{
    self, EnrolAnswer, EnrolRequest, Heartbeat, HeartbeatAnswer, Outcome, Report, ReportAnswer,
};
use jiff::Timestamp;
use serde::de::DeserializeOwned;

use crate::site::Certificate;

type Known = Arc<Mutex<HashMap<HostId, Digest>>>;

/// Serves at `address` until the process is ended.
///
/// # Errors
/// When the address or the certificate cannot be used.
pub async fn serve(address: SocketAddr, certificate: &Certificate) -> anyhow::Result<()> {
    let app = Router::new()
        .route("/api/v1/enrol", post(enrol))
        .route("/api/v1/heartbeat", post(heartbeat))
        .route("/api/v1/report", post(report))
        .route("/-/healthy", get(|| async { "fine" }))
        .with_state(Known::default())
        .into_make_service();
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        anyhow::bail!("another TLS provider is installed");
    }
    let Certificate { chain, key } = certificate;
    let tls = RustlsConfig::from_pem_file(PathBuf::from(chain), PathBuf::from(key)).await?;
    let server = axum_server::bind_rustls(address, tls);
    server.serve(app).await.context("serving")
}

fn read<T: DeserializeOwned>(headers: &HeaderMap, body: &Bytes) -> Result<T, StatusCode> {
    let packed = headers.contains_key("content-encoding");
    let unpacked = if packed { wire::decompress(body).ok() } else { None };
    serde_json::from_slice(unpacked.as_deref().unwrap_or(body)).map_err(|_| StatusCode::BAD_REQUEST)
}

async fn enrol(headers: HeaderMap, body: Bytes) -> Result<axum::Json<EnrolAnswer>, StatusCode> {
    let request: EnrolRequest = read(&headers, &body)?;
    Ok(axum::Json(EnrolAnswer { host: request.proposed, token: "bare".into(), epoch: 1 }))
}

async fn heartbeat(
    State(known): State<Known>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<axum::Json<HeartbeatAnswer>, StatusCode> {
    let heartbeat: Heartbeat = read(&headers, &body)?;
    let digest = heartbeat.sections.values().next().map_or(Digest([0; 32]), |one| one.digest);
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    let changed = known.insert(heartbeat.host, digest) != Some(digest);
    Ok(axum::Json(HeartbeatAnswer {
        epoch: u64::from(changed),
        generation: Generation(0),
        want: std::collections::BTreeMap::new(),
        next_ms: 60_000,
        defer_ms: None,
        cloned: false,
        collector_time: Timestamp::now(),
    }))
}

async fn report(headers: HeaderMap, body: Bytes) -> Result<axum::Json<ReportAnswer>, StatusCode> {
    let report: Report = read(&headers, &body)?;
    let outcomes = report.versions.iter().map(|_| Outcome::Applied).collect();
    Ok(axum::Json(ReportAnswer { epoch: 1, outcomes }))
}

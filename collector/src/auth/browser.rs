//! What a browser may be tricked into, refused from the headers alone. Pure.
//!
//! On loopback there is no login, so a foreign page must not reach us by a name it controls (DNS
//! rebinding): the `Host` header must name loopback, the address listened on or the public address.
//! What changes state must be JSON, which a foreign page cannot send without asking first, and an
//! `Origin` must be our own.

#![deny(clippy::disallowed_methods, reason = "headers in, verdict out")]

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, header};

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrowserError {
    /// It was sent to a name that is not ours.
    #[error("this collector is not known by that name; use its own address or set `public_url`")]
    ForeignName,
    /// It comes from another site's page.
    #[error("requests from other sites' pages are refused")]
    ForeignOrigin,
    /// It changes something and is no JSON.
    #[error("requests that change something need `Content-Type: application/json`")]
    NotJson,
    /// It brings data in no form that is taken.
    #[error("cases need `Content-Type: application/json`, `application/x-ndjson` or `text/csv`")]
    NotData,
    /// It should be a form and is none.
    #[error("this address takes the form of its own page; programs use the API")]
    NotForm,
    /// It passed a proxy, and only direct requests need no login here.
    #[error("behind a proxy the collector needs [tls], an address beyond loopback and tokens")]
    Proxied,
}

/// Checks a request that came without a login.
///
/// # Errors
/// [`BrowserError::ForeignName`], [`BrowserError::Proxied`].
pub fn check_name(
    headers: &HeaderMap,
    listen: SocketAddr,
    public_url: Option<&str>,
) -> Result<(), BrowserError> {
    if headers.contains_key(header::FORWARDED) || headers.contains_key("x-forwarded-for") {
        return Err(BrowserError::Proxied);
    }
    let host = text(headers, header::HOST).ok_or(BrowserError::ForeignName)?;
    let name = name_of(host);
    let public = public_url.and_then(|url| url.split("//").nth(1)).map(authority).map(name_of);
    let ours = name.eq_ignore_ascii_case("localhost")
        || public.is_some_and(|public| name.eq_ignore_ascii_case(public))
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback() || ip == listen.ip());
    if ours { Ok(()) } else { Err(BrowserError::ForeignName) }
}

/// Checks a request that changes something.
///
/// # Errors
/// [`BrowserError::NotJson`], [`BrowserError::ForeignOrigin`].
pub fn check_change(headers: &HeaderMap, public_url: Option<&str>) -> Result<(), BrowserError> {
    check_kind(headers, &["application/json"]).then_some(()).ok_or(BrowserError::NotJson)?;
    check_origin(headers, public_url)
}

/// Checks a request that brings data in one of the forms files have; a foreign page cannot send any
/// of them without asking first.
///
/// # Errors
/// [`BrowserError::NotData`], [`BrowserError::ForeignOrigin`].
pub fn check_import(headers: &HeaderMap, public_url: Option<&str>) -> Result<(), BrowserError> {
    let kinds = ["application/json", "application/x-ndjson", "text/csv"];
    check_kind(headers, &kinds).then_some(()).ok_or(BrowserError::NotData)?;
    check_origin(headers, public_url)
}

/// Checks a form of one of our own pages: a browser says where a form comes from.
///
/// # Errors
/// [`BrowserError::NotForm`], [`BrowserError::ForeignOrigin`].
pub fn check_form(headers: &HeaderMap, public_url: Option<&str>) -> Result<(), BrowserError> {
    let kinds = ["application/x-www-form-urlencoded"];
    check_kind(headers, &kinds).then_some(()).ok_or(BrowserError::NotForm)?;
    if !headers.contains_key(header::ORIGIN) {
        return Err(BrowserError::ForeignOrigin);
    }
    check_origin(headers, public_url)
}

fn check_kind(headers: &HeaderMap, kinds: &[&str]) -> bool {
    let kind = text(headers, header::CONTENT_TYPE).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kinds.iter().any(|known| kind.eq_ignore_ascii_case(known))
}

fn check_origin(headers: &HeaderMap, public_url: Option<&str>) -> Result<(), BrowserError> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or_default();
    let named = origin.split("//").nth(1).unwrap_or_default();
    let host = text(headers, header::HOST).unwrap_or_default();
    let ours = public_url == Some(origin) || (!named.is_empty() && named == host);
    if ours { Ok(()) } else { Err(BrowserError::ForeignOrigin) }
}

/// The password of HTTP Basic, under any user name: how a browser without JavaScript carries a
/// token.
pub fn password(headers: &HeaderMap) -> Option<String> {
    let encoded = text(headers, header::AUTHORIZATION)?.strip_prefix("Basic ")?;
    let decoded = String::from_utf8(decode_base64(encoded.trim())?).ok()?;
    decoded.split_once(':').map(|(_, password)| password.to_owned())
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn authority(rest: &str) -> &str {
    rest.split('/').next().unwrap_or_default()
}

/// The name in `name:port`, `[v6]:port` or a bare address.
fn name_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => authority,
    }
}

/// RFC 4648 §4, padding optional.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut held, mut bits) = (0u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let value = ALPHABET.iter().zip(0u32..).find(|(letter, _)| **letter == byte)?.1;
        held = (held << 6 | value) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits & 0xff) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_our_own_names_need_no_login() {
        let listen: SocketAddr = "127.0.0.1:9470".parse().unwrap();
        let public = Some("https://drift.example.org/base");
        for (host, expect) in [
            ("localhost:9470", Ok(())),
            ("127.0.0.1:9470", Ok(())),
            ("[::1]:9470", Ok(())),
            ("Drift.example.org", Ok(())),
            ("evil.example.org", Err(BrowserError::ForeignName)),
            ("127.0.0.1.evil.example.org", Err(BrowserError::ForeignName)),
            ("10.0.0.1", Err(BrowserError::ForeignName)),
        ] {
            assert_eq!(check_name(&headers(&[("host", host)]), listen, public), expect, "{host}");
        }
        assert!(check_name(&HeaderMap::new(), listen, public).is_err());
        let proxied = headers(&[("host", "localhost"), ("x-forwarded-for", "10.0.0.1")]);
        assert_eq!(check_name(&proxied, listen, public), Err(BrowserError::Proxied));
    }

    #[test]
    fn a_foreign_page_changes_nothing() {
        let json = ("content-type", "application/json; charset=utf-8");
        let host = ("host", "localhost:9470");
        for (pairs, expect) in [
            (vec![json, host], Ok(())),
            (vec![json, host, ("origin", "http://localhost:9470")], Ok(())),
            (vec![json, host, ("origin", "https://d.example")], Ok(())),
            (vec![json, host, ("origin", "http://evil")], Err(BrowserError::ForeignOrigin)),
            (vec![json, host, ("origin", "null")], Err(BrowserError::ForeignOrigin)),
            (vec![host], Err(BrowserError::NotJson)),
            (vec![("content-type", "text/plain"), host], Err(BrowserError::NotJson)),
        ] {
            assert_eq!(check_change(&headers(&pairs), Some("https://d.example")), expect);
        }
    }

    #[test]
    fn a_form_must_say_that_it_is_ours() {
        let form = ("content-type", "application/x-www-form-urlencoded");
        let host = ("host", "localhost:9470");
        for (pairs, expect) in [
            (vec![form, host, ("origin", "http://localhost:9470")], Ok(())),
            (vec![form, host], Err(BrowserError::ForeignOrigin)),
            (vec![form, host, ("origin", "http://evil")], Err(BrowserError::ForeignOrigin)),
            (vec![form, host, ("origin", "null")], Err(BrowserError::ForeignOrigin)),
            (vec![("content-type", "text/plain"), host], Err(BrowserError::NotForm)),
        ] {
            assert_eq!(check_form(&headers(&pairs), None), expect, "{pairs:?}");
        }
    }

    #[test]
    fn a_form_brings_no_cases() {
        for (kind, fine) in [
            ("application/json", true),
            ("application/x-ndjson; charset=utf-8", true),
            ("text/csv", true),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
            ("multipart/form-data", false),
        ] {
            let sent = headers(&[("content-type", kind), ("host", "localhost")]);
            assert_eq!(check_import(&sent, None).is_ok(), fine, "{kind}");
        }
    }

    #[test]
    fn a_browser_carries_a_token_as_a_password() {
        let basic = headers(&[("authorization", "Basic YW55Ym9keTpkbHRfMTIz")]);
        assert_eq!(password(&basic).as_deref(), Some("dlt_123"));
        for wrong in ["Basic ???", "Basic ", "Bearer YTpi"] {
            assert_eq!(password(&headers(&[("authorization", wrong)])), None, "{wrong}");
        }
    }
}

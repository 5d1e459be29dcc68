//! The client addresses that proxies report: `Forwarded` (RFC 7239) and `X-Forwarded-For`.

use actix_web::http::header::{FORWARDED, HeaderMap, HeaderName};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use ipnet::IpNet;

/// The header that most proxies send.
static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Returns the nearest address that is not a trusted proxy, from the peer backwards through the headers.
///
/// Addresses before it may be invented. A hop that is no address (`unknown`, an obfuscated identifier) ends the search.
/// If both headers are present and name different clients, neither counts: a proxy sets one of them, and passes on what
/// a client sent in the other.
pub(crate) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let peer = peer.to_canonical();
    if !is_trusted(peer, trusted) {
        return peer;
    }
    let text = |name| -> Vec<&str> {
        let values = headers.get_all(name);
        values.filter_map(|value| value.to_str().ok()).collect()
    };
    let (standard, common) = (text(&FORWARDED), text(&FORWARDED_FOR));
    let by_standard = || {
        let elements = standard.iter().flat_map(|value| split(value, ','));
        nearest(peer, &elements.map(for_parameter).collect::<Vec<_>>(), trusted)
    };
    let by_common = || {
        let hops = common.iter().flat_map(|value| split(value, ','));
        nearest(peer, &hops.map(|hop| node(&unquote(hop))).collect::<Vec<_>>(), trusted)
    };
    match (standard.is_empty(), common.is_empty()) {
        (true, true) => peer,
        (true, false) => by_common(),
        (false, true) => by_standard(),
        (false, false) => {
            let (one, other) = (by_standard(), by_common());
            if one == other { one } else { peer }
        }
    }
}

fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|network| network.contains(&address))
}

fn nearest(peer: IpAddr, hops: &[Option<IpAddr>], trusted: &[IpNet]) -> IpAddr {
    let mut nearest = peer;
    for hop in hops.iter().rev() {
        if !is_trusted(nearest, trusted) {
            break;
        }
        let Some(address) = hop else { break };
        nearest = *address;
    }
    nearest
}

/// Splits a header at separators outside quotes, and skips empty parts.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let parts = text.split(move |letter: char| {
        if is_escaped {
            is_escaped = false;
        } else if is_quoted && letter == '\\' {
            is_escaped = true;
        } else if letter == '"' {
            is_quoted = !is_quoted;
        } else {
            return letter == separator && !is_quoted;
        }
        false
    });
    parts.map(str::trim).filter(|part| !part.is_empty())
}

/// Returns the content of a quoted string, or the text itself.
fn unquote(text: &str) -> String {
    let text = text.trim();
    let Some(quoted) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return text.to_owned();
    };
    let mut content = String::with_capacity(quoted.len());
    let mut letters = quoted.chars();
    while let Some(letter) = letters.next() {
        content.extend(if letter == '\\' { letters.next() } else { Some(letter) });
    }
    content
}

/// Returns the address in the `for` parameter of one element of `Forwarded`.
fn for_parameter(element: &str) -> Option<IpAddr> {
    let value = split(element, ';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then_some(value)
    });
    node(&unquote(value?))
}

/// Parses the address of a node: IPv4 or IPv6, with or without brackets and port.
fn node(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.parse::<IpAddr>().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    // Ports may be obfuscated too, as in `192.0.2.1:_http`.
    let v4 = || {
        let (address, port) = text.split_once(':')?;
        is_port(port).then(|| address.parse::<Ipv4Addr>().ok().map(IpAddr::V4))?
    };
    let v6 = || {
        let (address, rest) = text.strip_prefix('[')?.split_once(']')?;
        let is_whole = rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
        // A zone has a meaning only on the proxy's machine.
        let address = address.split_once('%').map_or(address, |(address, _)| address);
        is_whole.then(|| address.parse::<Ipv6Addr>().ok().map(IpAddr::V6))?
    };
    let address = bare.or_else(with_port).or_else(v4).or_else(v6)?;
    Some(address.to_canonical())
}

fn is_port(text: &str) -> bool {
    let digits = (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let hidden = text.strip_prefix('_').is_some_and(|rest| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        !rest.is_empty() && rest.bytes().all(plain)
    });
    digits || hidden
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn headers(standard: &[&str], common: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, values) in [(&FORWARDED, standard), (&FORWARDED_FOR, common)] {
            for value in values {
                headers.append(name.clone(), HeaderValue::from_str(value).unwrap());
            }
        }
        headers
    }

    fn trusted() -> Vec<IpNet> {
        ["10.0.0.0/8", "fd00::/8"].map(|net| net.parse().unwrap()).into()
    }

    #[test]
    fn the_client_is_the_nearest_that_is_no_trusted_proxy() {
        for (peer, hops, expected) in [
            // Only trusted proxies are believed.
            ("192.0.2.1", &["203.0.113.9"][..], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("::ffff:10.0.0.1", &[" 203.0.113.9 "], "203.0.113.9"),
            // Addresses that a client puts before its own are ignored.
            ("10.0.0.1", &["198.51.100.7, 203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["198.51.100.7", "203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["203.0.113.9, fd00::1,10.1.1.1"], "203.0.113.9"),
            ("10.0.0.1", &["203.0.113.9, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.9, unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["203.0.113.9, _hidden"], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.9,, "], "203.0.113.9"),
        ] {
            let found = client(ip(peer), &headers(&[], hops), &trusted());
            assert_eq!(found, ip(expected), "{peer} {hops:?}");
        }
    }

    #[test]
    fn every_usual_spelling_of_an_address_is_read() {
        for (text, expected) in [
            ("203.0.113.8", Some("203.0.113.8")),
            ("203.0.113.8:4711", Some("203.0.113.8")),
            ("\"203.0.113.8:4711\"", Some("203.0.113.8")),
            ("203.0.113.8:_http", Some("203.0.113.8")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::1]:4711", Some("2001:db8::1")),
            ("\"[2001:db8::1]:4711\"", Some("2001:db8::1")),
            ("[2001:db8::1]:_port", Some("2001:db8::1")),
            ("[fe80::1%eth0]:80", Some("fe80::1")),
            ("::ffff:203.0.113.8", Some("203.0.113.8")),
            ("[::ffff:203.0.113.8]:1", Some("203.0.113.8")),
            ("unknown", None),
            ("_SEVKISEK", None),
            ("203.0.113.8:", None),
            ("203.0.113.8:123456", None),
            ("[2001:db8::1", None),
            ("[2001:db8::1]4711", None),
            ("[203.0.113.8]:80", None),
            ("", None),
        ] {
            assert_eq!(node(&unquote(text)), expected.map(ip), "{text}");
        }
    }

    #[test]
    fn the_standard_header_is_read_in_every_usual_spelling() {
        for (values, expected) in [
            (&["for=203.0.113.9"][..], "203.0.113.9"),
            (&["For=\"203.0.113.9:80\";proto=http;by=10.0.0.1"], "203.0.113.9"),
            (&["proto=https; FOR = \"[2001:db8::9]:4711\""], "2001:db8::9"),
            (&["for=198.51.100.7, for=203.0.113.9"], "203.0.113.9"),
            (&["for=198.51.100.7", "for=203.0.113.9;by=_me"], "203.0.113.9"),
            (&["for=203.0.113.9, for=10.0.0.7"], "203.0.113.9"),
            (&["for=\"_a,for=198.51.100.7\""], "10.0.0.1"),
            (&["for=203.0.113.9, for=unknown"], "10.0.0.1"),
            (&["for=203.0.113.9, for=_hidden"], "10.0.0.1"),
            (&["for=203.0.113.9, proto=http"], "10.0.0.1"),
        ] {
            let found = client(ip("10.0.0.1"), &headers(values, &[]), &trusted());
            assert_eq!(found, ip(expected), "{values:?}");
        }
    }

    #[test]
    fn headers_that_disagree_are_not_believed() {
        let both = |standard, common| client(ip("10.0.0.1"), &headers(&[standard], &[common]), &trusted());
        assert_eq!(both("for=203.0.113.9", "203.0.113.9:1"), ip("203.0.113.9"));
        assert_eq!(both("for=198.51.100.7", "203.0.113.9"), ip("10.0.0.1"));
    }
}

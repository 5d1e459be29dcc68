//! The HTTP client for documents of other services, such as key sets.

use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Response, StatusCode, Url, header};
use std::net::IpAddr;
use std::time::Duration;

/// The deadline of a whole request.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The deadline for opening a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Maximum number of redirects.
const MAX_REDIRECTS: usize = 3;

/// The URL of a document: https, or http on this machine; without credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentUrl(Url);

impl DocumentUrl {
    /// Parses a URL.
    ///
    /// # Errors
    /// The rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let url = Url::parse(text).map_err(|_| "must be a URL, such as https://idp.example/jwks.json")?;
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err("must be a URL without credentials and fragment");
        }
        if !is_safe(&url) {
            return Err("must be an https URL (http for this machine alone)");
        }
        Ok(Self(url))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// Returns whether the connection is safe from changes in transit.
fn is_safe(url: &Url) -> bool {
    match url.scheme() {
        "https" => url.has_host(),
        "http" => is_loopback(url),
        _ => false,
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// A fetched document.
#[derive(Debug, PartialEq, Eq)]
pub struct Document {
    /// Its bytes.
    pub body: Vec<u8>,
    /// The time for which it may be cached, if its server states one.
    pub max_age: Option<Duration>,
}

/// The reason for which a document cannot be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The client cannot be created.
    #[error("the HTTP client cannot be created: {0}")]
    Client(#[source] reqwest::Error),
    /// The response is missing or incomplete.
    #[error("{}", chain(.0))]
    Transport(#[source] reqwest::Error),
    /// The response has another status.
    #[error("the server answered {0}")]
    Status(StatusCode),
    /// The response is too large.
    #[error("the document has more than {0} bytes")]
    TooLarge(usize),
}

/// Formats an error with its causes, which describe the failure of the connection, without the URL.
fn chain(error: &reqwest::Error) -> String {
    let mut text = if let Some(wrong) = refused_certificate(error) {
        wrong.to_owned()
    } else if error.is_timeout() {
        "timed out".to_owned()
    } else if error.is_redirect() {
        "redirected to a forbidden URL".to_owned()
    } else {
        "the request failed".to_owned()
    };
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

/// Returns the check that the server's certificate failed, if that is the reason of the failure.
fn refused_certificate(error: &reqwest::Error) -> Option<&'static str> {
    use rustls::CertificateError as E;
    let rustls::Error::InvalidCertificate(wrong) = tls_error(error)? else {
        return None;
    };
    Some(match wrong {
        E::Expired | E::ExpiredContext { .. } => "the certificate has expired",
        E::NotValidYet | E::NotValidYetContext { .. } => "the certificate is not valid yet",
        E::NotValidForName | E::NotValidForNameContext { .. } => "the certificate is for another host name",
        E::UnknownIssuer => "the certificate was not issued by a trusted authority",
        E::Revoked => "the certificate was revoked",
        _ => "the certificate cannot be accepted",
    })
}

/// Returns the TLS error among the causes of an error. The handshake runs inside of I/O errors, which do not return the
/// error they wrap as their source.
fn tls_error<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e rustls::Error> {
    let mut cause = Some(error);
    while let Some(inner) = cause {
        if let Some(tls) = inner.downcast_ref() {
            return Some(tls);
        }
        let wrapped = inner.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => inner.source(),
        };
    }
    None
}

/// Fetches documents. It trusts the certificates of the system, uses no proxy, and follows a few redirects to https
/// only.
#[derive(Debug, Clone)]
pub struct HttpClient(Client);

impl HttpClient {
    /// Creates a client.
    ///
    /// # Errors
    /// [`FetchError::Client`] if the certificates of the system cannot be read.
    pub fn new() -> Result<Self, FetchError> {
        let client = Client::builder()
            .user_agent(concat!("canopy/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .referer(false)
            .redirect(Policy::custom(redirect))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .pool_max_idle_per_host(1)
            .build();
        client.map(Self).map_err(FetchError::Client)
    }

    /// Fetches a document of at most `max_bytes`.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn get(&self, url: &DocumentUrl, max_bytes: usize) -> Result<Document, FetchError> {
        let request = self.0.get(url.0.clone());
        let request = request.header(
            header::ACCEPT,
            "application/jwk-set+json, application/json;q=0.9, */*;q=0.1",
        );
        let mut response = request.send().await.map_err(without_url)?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status()));
        }
        let too_large = || FetchError::TooLarge(max_bytes);
        let declared = response.content_length().unwrap_or_default();
        if usize::try_from(declared).map_or(true, |declared| declared > max_bytes) {
            return Err(too_large());
        }
        let max_age = max_age(&response);
        let mut body = vec![];
        while let Some(chunk) = response.chunk().await.map_err(without_url)? {
            if body.len() + chunk.len() > max_bytes {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Document { body, max_age })
    }
}

fn without_url(error: reqwest::Error) -> FetchError {
    FetchError::Transport(error.without_url())
}

fn redirect(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let stays_here = attempt.previous().first().is_some_and(is_loopback);
    let is_safe = match attempt.url().scheme() {
        "https" => true,
        "http" => stays_here && is_loopback(attempt.url()),
        _ => false,
    };
    if attempt.previous().len() > MAX_REDIRECTS {
        attempt.error("too many redirects")
    } else if is_safe {
        attempt.follow()
    } else {
        attempt.error("to a URL that is not https")
    }
}

/// Returns the `max-age` of a response; zero if it must not be cached.
fn max_age(response: &Response) -> Option<Duration> {
    let values = response.headers().get_all(header::CACHE_CONTROL);
    let text: Vec<&str> = values.iter().filter_map(|value| value.to_str().ok()).collect();
    parse_max_age(&text.join(","))
}

fn parse_max_age(cache_control: &str) -> Option<Duration> {
    let mut age = None;
    for directive in cache_control.split(',') {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "no-store" | "no-cache" => return Some(Duration::ZERO),
            "max-age" => age = value.trim().trim_matches('"').parse().ok().map(Duration::from_secs),
            _ => {}
        }
    }
    age
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpListener};

    #[test]
    fn documents_come_by_https_or_from_this_machine() {
        for (text, good) in [
            ("https://idp.example/jwks.json", true),
            ("https://idp.example:8443/a?b=c", true),
            ("http://127.0.0.1:80/jwks", true),
            ("http://[::1]/jwks", true),
            ("http://localhost:8080/", true),
            ("http://idp.example/jwks.json", false),
            ("http://127.0.0.1.example/", false),
            ("http://localhost.example/", false),
            ("https://user:secret@idp.example/", false),
            ("https://idp.example/#x", false),
            ("file:///etc/passwd", false),
            ("idp.example", false),
            ("", false),
        ] {
            assert_eq!(DocumentUrl::parse(text).is_ok(), good, "{text}");
        }
    }

    #[test]
    fn the_age_of_a_document_is_read_from_cache_control() {
        let seconds = |text: &str| parse_max_age(text).map(|age| age.as_secs());
        for (text, expected) in [
            ("", None),
            ("public", None),
            ("max-age=300", Some(300)),
            ("public, Max-Age = \"15\", stale-while-revalidate=15", Some(15)),
            ("s-maxage=9", None),
            ("max-age=-1", None),
            ("max-age=99999999999999999999999", None),
            ("max-age=300, no-store", Some(0)),
            ("no-cache", Some(0)),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }

    /// Starts a server that answers requests, one after the other, with the next of these texts.
    fn serve(answers: Vec<String>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut head = [0; 4096];
                drop(stream.read(&mut head));
                drop(stream.write_all(answer.as_bytes()));
            }
        });
        address
    }

    fn url(address: SocketAddr) -> DocumentUrl {
        DocumentUrl::parse(&format!("http://{address}/jwks")).unwrap()
    }

    #[tokio::test]
    async fn a_document_is_bounded_and_redirects_are_few_and_safe() {
        let client = HttpClient::new().unwrap();
        let body = |text: &str, more: &str| {
            let length = text.len();
            format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n{more}\r\n{text}")
        };
        let to = |place: &str| format!("HTTP/1.1 302 Found\r\nconnection: close\r\nlocation: {place}\r\n\r\n");
        let get = |answers: Vec<String>| {
            let (client, url) = (client.clone(), url(serve(answers)));
            async move { client.get(&url, 10).await }
        };
        let fetched = get(vec![
            to("/a"),
            to("/b"),
            to("/c"),
            body("0123456789", "cache-control: max-age=7\r\n"),
        ])
        .await;
        let expected = Document {
            body: b"0123456789".to_vec(),
            max_age: Some(Duration::from_secs(7)),
        };
        assert_eq!(fetched.unwrap(), expected);
        let large = get(vec![body("0123456789a", "")]).await;
        assert!(matches!(large, Err(FetchError::TooLarge(10))), "{large:?}");
        let undeclared = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n0123456789a".to_owned();
        let large = get(vec![undeclared]).await;
        assert!(matches!(large, Err(FetchError::TooLarge(10))), "{large:?}");
        let short = get(vec![
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\nconnection: close\r\n\r\n0".to_owned(),
        ])
        .await;
        assert!(matches!(short, Err(FetchError::Transport(_))), "{short:?}");
        let absent = get(vec![
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned(),
        ])
        .await;
        assert!(
            matches!(absent, Err(FetchError::Status(StatusCode::NOT_FOUND))),
            "{absent:?}"
        );
        for redirected in [
            vec![to("/a"); 9],
            vec![to("http://idp.example/jwks")],
            vec![to("file:///etc/passwd")],
        ] {
            let refused = get(redirected).await;
            // A redirect to another scheme is refused.
            let is_refused = matches!(
                refused,
                Err(FetchError::Transport(_) | FetchError::Status(StatusCode::FOUND))
            );
            assert!(is_refused, "{refused:?}");
        }
    }
}

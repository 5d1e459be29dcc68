//! A small API client: sends JSON, returns the status, the headers and JSON.

#![expect(
    clippy::indexing_slicing,
    reason = "test support: indexing JSON gives null, and a header that is missing ends the test"
)]

use reqwest::Method;
use serde_json::Value;

/// A client of one server with one credential.
#[derive(Debug, Clone)]
pub struct Api {
    client: reqwest::Client,
    base: String,
    token: Option<String>,
    key: Option<String>,
}

/// A response.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body; [`Value::Null`] if it is empty.
    pub body: Value,
}

impl Answer {
    /// Returns the error code of a refusal; empty if there is none.
    pub fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    /// Returns the body of a response with this status.
    ///
    /// # Panics
    ///
    /// If the status is another one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// Asserts that this is a refusal with this status and code, and that it has the shape of every refusal.
    ///
    /// # Panics
    ///
    /// If it is not.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code()), (status, code), "{}", self.body);
        let error = &self.body["error"];
        assert_eq!(error["statusCode"], status);
        assert!(
            error["details"].is_object() && error["message"].is_string(),
            "{}",
            self.body
        );
        assert_eq!(error["request_id"].as_str(), self.headers["x-request-id"].to_str().ok());
    }

    /// Returns the text of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Api {
    /// Creates a client of the server at `base`, such as `http://127.0.0.1:8080`.
    pub fn new(base: impl Into<String>) -> Self {
        Self {
            client: reqwest::Client::new(),
            base: base.into(),
            token: None,
            key: None,
        }
    }

    /// Returns the client with a bearer token.
    #[must_use]
    pub fn with_token(&self, token: impl Into<String>) -> Self {
        Self {
            token: Some(token.into()),
            key: None,
            ..self.clone()
        }
    }

    /// Returns the client with an API key, and no bearer token.
    #[must_use]
    pub fn with_api_key(&self, key: impl Into<String>) -> Self {
        Self {
            token: None,
            key: Some(key.into()),
            ..self.clone()
        }
    }

    /// Returns the bearer token, if it has one.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Returns a request that can get more headers or another body before it is [sent](Self::send).
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        match (&self.token, &self.key) {
            (Some(token), _) => request.bearer_auth(token),
            (None, Some(key)) => request.header("X-API-Key", key),
            (None, None) => request,
        }
    }

    /// Sends a request.
    ///
    /// # Panics
    ///
    /// If the server does not respond, or the body is not JSON.
    pub async fn send(request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.expect("a whole answer");
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).expect("JSON")
        };
        Answer { status, headers, body }
    }

    /// Sends GET.
    pub async fn get(&self, path: &str) -> Answer {
        Self::send(self.request(Method::GET, path)).await
    }

    /// Sends POST.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        Self::send(self.request(Method::POST, path).json(body)).await
    }

    /// Sends PUT.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        Self::send(self.request(Method::PUT, path).json(body)).await
    }

    /// Sends PATCH, with `If-Match` if a version is given.
    pub async fn patch(&self, path: &str, version: Option<u64>, body: &Value) -> Answer {
        let mut request = self.request(Method::PATCH, path).json(body);
        if let Some(version) = version {
            request = request.header("If-Match", version.to_string());
        }
        Self::send(request).await
    }

    /// Sends DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        Self::send(self.request(Method::DELETE, path)).await
    }
}

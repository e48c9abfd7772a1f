//! What is looked at before a request reaches the handler.

use std::net::IpAddr;

use hyper::header::{
    ALLOW, AUTHORIZATION, CONNECTION, COOKIE, HOST, HeaderName, HeaderValue, LOCATION, SET_COOKIE,
    WWW_AUTHENTICATE,
};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, StatusCode};

use crate::request::{is_plain, pairs, without};
use crate::{Hosts, Page, Policy, Token};

/// The pair of a query that shows the token.
const TOKEN: &str = "token";

/// An answer in place of the handler's.
pub(crate) struct Refused {
    pub(crate) page: Page,
    pub(crate) header: Vec<(HeaderName, HeaderValue)>,
}

impl Refused {
    fn new(status: StatusCode, words: &str) -> Self {
        Self { page: Page::refusal(status, words), header: Vec::new() }
    }

    fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.header.push((name, value));
        }
        self
    }
}

/// Judges requests of one server.
pub(crate) struct Gate {
    policy: Policy,
    cookie: String,
}

impl Gate {
    /// A gate of the server on this port. Cookies know no ports, so that the port is in the name.
    pub(crate) fn new(policy: Policy, port: u16) -> Self {
        Self { policy, cookie: format!("mambafleet-{port}") }
    }

    /// Lets a request through, with the pairs of its query, or answers it.
    pub(crate) fn judge(
        &self,
        request: &Parts,
        has_body: bool,
        to: IpAddr,
    ) -> Result<Vec<(String, String)>, Refused> {
        self.shape(request, has_body, to)?;
        let query = request.uri.query().unwrap_or("");
        let bad = |_| Refused::new(StatusCode::BAD_REQUEST, "the query cannot be understood");
        let mut pairs = pairs(query).map_err(bad)?;
        if self.is_foreign_page(&request.headers) {
            return Err(Refused::new(StatusCode::FORBIDDEN, "another site's page may not ask"));
        }
        let shown = pairs.iter().position(|(name, _)| name == TOKEN);
        let shown = shown.map(|at| pairs.swap_remove(at).1);
        let Some(token) = self.policy.token() else { return Ok(pairs) };
        match shown {
            Some(shown) if token.is(&shown) => Err(self.remember(token, request, query)),
            Some(_) => Err(unknown()),
            None if self.knows(token, &request.headers) => Ok(pairs),
            None => Err(unknown()),
        }
    }

    /// Looks at the request itself, not at who asks.
    fn shape(&self, request: &Parts, has_body: bool, to: IpAddr) -> Result<(), Refused> {
        let refuse = |status, words| Err(Refused::new(status, words));
        let (uri, limits) = (&request.uri, &self.policy.limits);
        if request.method != Method::GET && request.method != Method::HEAD {
            let refused =
                Refused::new(StatusCode::METHOD_NOT_ALLOWED, "nothing can be changed here");
            return Err(refused.with(ALLOW, "GET, HEAD").with(CONNECTION, "close"));
        }
        if uri.scheme().is_some() || uri.authority().is_some() {
            return refuse(StatusCode::BAD_REQUEST, "this is no proxy: ask for a path");
        }
        if uri.path_and_query().is_some_and(|target| target.as_str().len() > limits.target) {
            return refuse(StatusCode::URI_TOO_LONG, "the address is too long");
        }
        if has_body {
            let refused = Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "nothing is taken here");
            return Err(refused.with(CONNECTION, "close"));
        }
        if !self.is_own(&request.headers, to) {
            return refuse(StatusCode::MISDIRECTED_REQUEST, "this server has another name");
        }
        if !is_plain(uri.path()) {
            return refuse(StatusCode::NOT_FOUND, "there is no such page");
        }
        Ok(())
    }

    /// Whether the request names this server, once.
    fn is_own(&self, headers: &HeaderMap, to: IpAddr) -> bool {
        let mut hosts = headers.get_all(HOST).iter();
        let host = hosts.next().map(HeaderValue::to_str);
        match (host, hosts.next()) {
            (Some(Ok(host)), None) => self.policy.hosts.allow(host, to),
            (None, None) => matches!(self.policy.hosts, Hosts::Any),
            _ => false,
        }
    }

    /// Whether a page of another site asks in the background, where the browser says so.
    fn is_foreign_page(&self, headers: &HeaderMap) -> bool {
        let says = |name: &str, value: &str| headers.get(name).is_some_and(|said| said == value);
        let foreign = ["cross-site", "same-site"].iter().any(|site| says("sec-fetch-site", site));
        foreign && !says("sec-fetch-mode", "navigate")
    }

    /// Makes a token that was shown a cookie, and leads to the address without it.
    fn remember(&self, token: &Token, request: &Parts, query: &str) -> Refused {
        let (path, rest) = (request.uri.path(), without(query, TOKEN));
        let location = if rest.is_empty() { path.to_owned() } else { format!("{path}?{rest}") };
        let cookie =
            format!("{}={}; Path=/; HttpOnly; SameSite=Strict", self.cookie, token.cookie());
        Refused::new(StatusCode::SEE_OTHER, "see the address without the token")
            .with(LOCATION, &location)
            .with(SET_COOKIE, &cookie)
    }

    /// Whether the headers show the token, or its cookie.
    fn knows(&self, token: &Token, headers: &HeaderMap) -> bool {
        let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let bearer = bearer.and_then(|value| value.split_once(' '));
        if let Some((scheme, shown)) = bearer
            && scheme.eq_ignore_ascii_case("bearer")
        {
            return token.is(shown.trim());
        }
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|c| c.split_once('='));
        pairs.any(|(name, value)| name.trim() == self.cookie && token.is_cookie(value.trim()))
    }
}

fn unknown() -> Refused {
    let words = "a token is needed: open the address with ?token=... once";
    Refused::new(StatusCode::UNAUTHORIZED, words).with(WWW_AUTHENTICATE, "Bearer")
}

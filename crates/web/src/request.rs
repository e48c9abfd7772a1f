//! Requests as handlers see them.

use std::str::Utf8Error;

use hyper::HeaderMap;

/// A request that the policy let through.
#[derive(Debug)]
pub struct Request<'a> {
    path: &'a str,
    query: Vec<(String, String)>,
    headers: &'a HeaderMap,
}

/// The query of a request cannot be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadQuery;

/// Pairs of a query; more are nothing that a page would ask.
const MAX_PAIRS: usize = 16;

impl<'a> Request<'a> {
    pub(crate) fn new(path: &'a str, query: Vec<(String, String)>, headers: &'a HeaderMap) -> Self {
        Self { path, query, headers }
    }

    /// The path: `/`, or names of letters, digits, `.`, `_` and `-`, each after a single `/`; never `..`.
    #[must_use]
    pub fn path(&self) -> &str {
        self.path
    }

    /// A value of the query, decoded; it holds no control characters. The token is not among them.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A header, if it is there and is visible ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Whether a path is one that could be served: an exact name, which needs no decoding.
pub(crate) fn is_plain(path: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    let part = |part: &str| !part.is_empty() && !part.starts_with('.');
    match path.strip_prefix('/') {
        Some("") => true,
        Some(rest) => rest.bytes().all(allowed) && rest.split('/').all(part),
        None => false,
    }
}

/// The pairs of a query, decoded. A name may stand there once.
pub(crate) fn pairs(query: &str) -> Result<Vec<(String, String)>, BadQuery> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name)?, decode(value)?);
        if pairs.len() == MAX_PAIRS || pairs.iter().any(|(earlier, _)| *earlier == name) {
            return Err(BadQuery);
        }
        pairs.push((name, value));
    }
    Ok(pairs)
}

/// What is left of a query, as it stands there, without the pairs of a name.
pub(crate) fn without(query: &str, name: &str) -> String {
    let other = |pair: &&str| {
        let key = pair.split('=').next().unwrap_or(pair);
        !pair.is_empty() && decode(key).as_deref() != Ok(name)
    };
    query.split('&').filter(other).collect::<Vec<_>>().join("&")
}

/// Decodes `%XX` and `+`, once.
fn decode(text: &str) -> Result<String, BadQuery> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => 16 * digit(bytes.next())? + digit(bytes.next())?,
            byte => byte,
        });
    }
    let decoded = String::from_utf8(decoded).map_err(|error| BadQuery::from(error.utf8_error()))?;
    if decoded.chars().any(char::is_control) { Err(BadQuery) } else { Ok(decoded) }
}

impl From<Utf8Error> for BadQuery {
    fn from(_: Utf8Error) -> Self {
        Self
    }
}

fn digit(byte: Option<u8>) -> Result<u8, BadQuery> {
    let value = byte.and_then(|byte| char::from(byte).to_digit(16)).ok_or(BadQuery)?;
    u8::try_from(value).map_err(|_| BadQuery)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_paths_are_plain() {
        for path in ["/", "/app.js", "/api/page", "/a-b_c/D.9"] {
            assert!(is_plain(path), "{path}");
        }
        let odd = [
            "",
            "app.js",
            "//",
            "//evil.example",
            "/a//b",
            "/a/",
            "/..",
            "/../etc/passwd",
            "/a/../b",
            "/.",
            "/a/./b",
            "/.hidden",
            "/%2e%2e/x",
            "/a%00",
            "/a\\b",
            "/\\evil.example",
            "/a b",
            "/a;b",
            "/\u{e9}",
            "*",
        ];
        for path in odd {
            assert!(!is_plain(path), "{path}");
        }
    }

    #[test]
    fn queries_are_decoded_once_and_may_name_nothing_twice() {
        let good = pairs("symbol=%5EGSPC&run=a+b&&c&d=%252e").unwrap();
        let expected = [("symbol", "^GSPC"), ("run", "a b"), ("c", ""), ("d", "%2e")];
        assert_eq!(good, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
        for bad in
            ["a=1&a=2", "a=%", "a=%4", "a=%zz", "a=%+1", "a=%00", "a=%0d%0a", "a=%ff", "%00=1"]
        {
            assert_eq!(pairs(bad), Err(BadQuery), "{bad}");
        }
        let many: Vec<String> = (0..17).map(|i| format!("k{i}=")).collect();
        assert_eq!(pairs(&many.join("&")), Err(BadQuery));
    }

    #[test]
    fn a_name_is_taken_out_of_a_query_however_it_is_written() {
        assert_eq!(without("a=1&token=x&b=%20&t%6fken=y&", "token"), "a=1&b=%20");
        assert_eq!(without("token", "token"), "");
    }
}

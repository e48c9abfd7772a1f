//! Who may ask, and how much.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::{Token, WebError};

/// What a server lets through.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Who may ask.
    pub access: Access,
    /// The names that requests may call it by.
    pub hosts: Hosts,
    /// How much of everything there may be.
    pub limits: Limits,
}

/// Who may ask.
#[derive(Debug, Clone, Default)]
pub enum Access {
    /// Everybody on this machine: other addresses than loopback's are refused at the start.
    #[default]
    Local,
    /// Whoever shows the token: once as `?token=`, which becomes a cookie, or as a bearer's.
    Token(Token),
    /// Everybody who can reach the address.
    Open,
}

/// The names that a request may call the server by in its `Host` header; any port will do, for a
/// tunnel's is another.
#[derive(Debug, Clone)]
pub enum Hosts {
    /// The address that the connection came to, loopback's, `localhost`, and these names.
    Own(Vec<String>),
    /// Any: for what may be known to every web page that the reader looks at.
    Any,
}

impl Default for Hosts {
    fn default() -> Self {
        Self::Own(Vec::new())
    }
}

/// How much of everything there may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at a time; one more is answered with 503 and closed.
    pub connections: usize,
    /// Of them, connections that a stream goes to; one more gets 503.
    pub streams: usize,
    /// Bytes of a request's line and headers together; no less than 8192 count.
    pub head: usize,
    /// Bytes of a request's path and query.
    pub target: usize,
    /// Headers of a request.
    pub headers: usize,
    /// How long a head may take to come, and a connection may be without a request.
    pub head_time: Duration,
    /// How long a client may take none of what is there for it.
    pub write_time: Duration,
    /// Slow answers that are worked on at a time.
    pub slow: usize,
    /// Slow answers that are waited for; one more gets 503.
    pub queue: usize,
    /// Bytes that the system keeps for a client that reads slowly, about.
    pub send_buffer: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            streams: 400,
            head: 16 << 10,
            target: 2 << 10,
            headers: 64,
            head_time: Duration::from_secs(10),
            write_time: Duration::from_secs(20),
            slow: 2,
            queue: 64,
            send_buffer: 128 << 10,
        }
    }
}

impl Policy {
    /// Refuses an address that other machines reach where nobody has to show anything.
    pub(crate) fn check(&self, address: SocketAddr) -> Result<(), WebError> {
        match self.access {
            Access::Local if !address.ip().to_canonical().is_loopback() => {
                Err(WebError::Open(address))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn token(&self) -> Option<&Token> {
        match &self.access {
            Access::Token(token) => Some(token),
            Access::Local | Access::Open => None,
        }
    }
}

impl Hosts {
    /// Whether a request that came to the address `to` may name this host.
    pub(crate) fn allow(&self, host: &str, to: IpAddr) -> bool {
        let Self::Own(names) = self else { return true };
        let Some(name) = name_of(host) else { return false };
        if let Ok(address) = name.parse::<IpAddr>() {
            return address.is_loopback() || address == to.to_canonical();
        }
        name.eq_ignore_ascii_case("localhost")
            || names.iter().any(|own| own.eq_ignore_ascii_case(name))
    }
}

/// The name or address in a `Host` header, without port and brackets; `None` for what is neither.
fn name_of(host: &str) -> Option<&str> {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let (name, port) = rest.split_once(']')?;
            name.parse::<std::net::Ipv6Addr>().ok()?;
            (name, port)
        }
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let port_fits = match port.strip_prefix(':') {
        Some(digits) => {
            digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok()
        }
        None => port.is_empty(),
    };
    (port_fits && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_names_are_allowed() {
        let hosts = Hosts::Own(vec!["fleet.example".to_owned()]);
        let to = "192.0.2.7".parse().unwrap();
        let own = [
            "localhost",
            "LOCALHOST:80",
            "127.0.0.1:7777",
            "[::1]:7777",
            "[::1]",
            "192.0.2.7:7777",
            "192.0.2.7",
            "fleet.example",
            "Fleet.Example:443",
        ];
        for host in own {
            assert!(hosts.allow(host, to), "{host}");
        }
        let foreign = [
            "",
            ":80",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "192.0.2.8",
            "localhost:",
            "localhost:x",
            "localhost:+80",
            "localhost:99999",
            "localhost:80:80",
            "[::1",
            "[localhost]",
            "[::1]x",
            "::1",
            "user@localhost",
            "fleet.example.",
            "2130706433",
            "127.1",
            "localhost/",
        ];
        for host in foreign {
            assert!(!hosts.allow(host, to), "{host}");
            assert!(Hosts::Any.allow(host, to));
        }
    }

    #[test]
    fn other_machines_need_a_token() {
        let check = |access, address: &str| {
            let policy = Policy { access, ..Policy::default() };
            policy.check(address.parse().unwrap()).is_ok()
        };
        for address in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(check(Access::Local, address), "{address}");
        }
        for address in ["0.0.0.0:1", "[::]:1", "192.0.2.7:1", "[::ffff:192.0.2.7]:1", "[fe80::1]:1"]
        {
            assert!(!check(Access::Local, address), "{address}");
            assert!(check(Access::Token(Token::random().0), address));
            assert!(check(Access::Open, address));
        }
    }
}

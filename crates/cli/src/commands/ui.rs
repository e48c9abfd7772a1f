//! `mambafleet ui`.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use mambafleet_live::{Assets, Site};
use mambafleet_protocol::cause_chain;
use mambafleet_report::assets;
use mambafleet_stress::Signals;
use mambafleet_web::{Access, Hosts, InvalidToken, Policy, Server, Token, WebError};
use serde::Serialize;

use crate::args::{Common, UiArgs};
use crate::config::Overrides;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::plan::configuration;

/// What to do where others could ask.
const NEEDS_TOKEN: &str =
    "set one with --token-file FILE, or listen on 127.0.0.1 and come by ssh -L";

/// The page and what it is made of.
const ASSETS: Assets = Assets {
    html: assets::LIVE,
    app_js: assets::APP_JS,
    app_css: assets::APP_CSS,
    uplot_js: assets::UPLOT_JS,
    uplot_css: assets::UPLOT_CSS,
};

#[derive(Serialize)]
struct Listening {
    url: String,
}

/// Serves the page until a signal comes.
pub(crate) fn run(common: &Common, args: &UiArgs, output: Output) -> Result<Exit, CliError> {
    let config = configuration(common, Overrides::new())?.config;
    let (access, made_up) = access(args)?;
    let policy = Policy { access, hosts: hosts(&args.host)?, ..Policy::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| refused("start the event loop", &error))?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::listen().map_err(|error| refused("listen for signals", &error))?
    };
    // Runs need the processors more than whoever looks at them.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(1).build_global();
    let site = Site::new(config.store.dir.clone(), ASSETS);
    let site = site.map_err(|error| refused("start a thread", &error))?;
    let server = Server::start(args.listen, policy, Arc::new(site))?;
    let url = url(server.address(), made_up.as_deref());
    if output.is_json() {
        output.last_line("ui", &Listening { url })?;
    } else {
        output.line(&url)?;
        let store = config.store.dir.display();
        output.say(&format!("showing {store}; Ctrl-C ends it"));
    }
    let signal = runtime.block_on(signals.next());
    drop(server);
    Ok(if signal == 2 { Exit::Interrupted } else { Exit::Terminated })
}

fn refused(what: &str, error: &std::io::Error) -> CliError {
    CliError::new(Exit::Internal, format!("cannot {what}: {error}"))
}

/// Who may ask; and the token's text, where it was made up here.
fn access(args: &UiArgs) -> Result<(Access, Option<String>), CliError> {
    let text = match (&args.token, &args.token_file) {
        (Some(text), _) if text.is_empty() => {
            let (token, text) = Token::random();
            return Ok((Access::Token(token), Some(text)));
        }
        (Some(text), _) => text.clone(),
        (None, Some(file)) => first_line(file)?,
        (None, None) => return Ok((Access::Local, None)),
    };
    let token = Token::new(&text).map_err(|error: InvalidToken| {
        CliError::usage(error.to_string()).with_hint("`openssl rand -hex 16` makes one")
    })?;
    Ok((Access::Token(token), None))
}

fn first_line(file: &Path) -> Result<String, CliError> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        CliError::usage(format!("cannot read the token in {}: {error}", file.display()))
    })?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

/// Names as they stand in a request, without ports.
fn hosts(names: &[String]) -> Result<Hosts, CliError> {
    let odd = |name: &&String| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        name.is_empty() || !name.bytes().all(fits)
    };
    match names.iter().find(odd) {
        Some(odd) => Err(CliError::usage(format!("{odd:?} is no name of a host"))
            .with_hint("write it without http:// and port, as in --host fleet.example")),
        None => Ok(Hosts::Own(names.to_vec())),
    }
}

/// Where a browser on this machine finds the page.
fn url(address: SocketAddr, token: Option<&str>) -> String {
    let ip = address.ip();
    let local = match address {
        _ if !ip.is_unspecified() => address,
        SocketAddr::V4(_) => (Ipv4Addr::LOCALHOST, address.port()).into(),
        SocketAddr::V6(_) => (Ipv6Addr::LOCALHOST, address.port()).into(),
    };
    let token = token.map_or_else(String::new, |token| format!("?token={token}"));
    format!("http://{local}/{token}")
}

impl From<WebError> for CliError {
    fn from(error: WebError) -> Self {
        let message = cause_chain(&error);
        match error {
            WebError::Open(_) => Self::usage(message).with_hint(NEEDS_TOKEN),
            WebError::InUse(_) => Self::usage(message)
                .with_hint("choose another port with --listen; 127.0.0.1:0 lets the system choose"),
            _ => Self::new(Exit::Internal, message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_such_that_a_browser_here_finds_them() {
        let at = |address: &str| url(address.parse().unwrap(), None);
        assert_eq!(at("127.0.0.1:7777"), "http://127.0.0.1:7777/");
        assert_eq!(at("0.0.0.0:80"), "http://127.0.0.1:80/");
        assert_eq!(at("[::]:80"), "http://[::1]:80/");
        assert_eq!(at("192.0.2.7:80"), "http://192.0.2.7:80/");
        let token = url("127.0.0.1:1".parse().unwrap(), Some("abc"));
        assert_eq!(token, "http://127.0.0.1:1/?token=abc");
    }

    #[test]
    fn hosts_are_names() {
        assert!(hosts(&["fleet.example".into(), "box-1".into()]).is_ok());
        for odd in ["", "http://fleet.example", "fleet.example:80", "*", "a b"] {
            assert!(hosts(&[odd.to_owned()]).is_err(), "{odd}");
        }
    }
}

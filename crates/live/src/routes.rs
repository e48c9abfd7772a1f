//! What can be asked for.

use std::path::PathBuf;
use std::sync::Arc;

use mambafleet_protocol::{RunId, Symbol};
use mambafleet_web::{Bytes, Handler, Page, Reply, Request, StatusCode};

use crate::hub::{Hub, Missing};
use crate::watch::Watch;

const HTML: &str = "text/html; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";

/// The page itself, and what it is made of.
#[derive(Debug, Clone, Copy)]
pub struct Assets {
    /// `/`
    pub html: &'static str,
    /// `/app.js`
    pub app_js: &'static str,
    /// `/app.css`
    pub app_css: &'static str,
    /// `/uplot.js`
    pub uplot_js: &'static str,
    /// `/uplot.css`
    pub uplot_css: &'static str,
}

/// Answers the live page's requests. It reads, and writes nothing.
pub struct Site {
    assets: Assets,
    hub: Arc<Hub>,
    _watch: Watch,
}

impl Site {
    /// A site over the store in a directory, which need not exist yet.
    ///
    /// # Errors
    /// What the operating system said when no thread could be started.
    pub fn new(store: PathBuf, assets: Assets) -> std::io::Result<Self> {
        let hub = Arc::new(Hub::new(store));
        let watch = Watch::start(Arc::clone(&hub))?;
        Ok(Self { assets, hub, _watch: watch })
    }

    fn page(&self, run: Option<RunId>) -> Reply {
        let hub = Arc::clone(&self.hub);
        Reply::Later(Box::new(move || answer(hub.page(run))))
    }

    fn symbol(&self, request: &Request<'_>) -> Reply {
        let run = request.query("run").map(RunId::new);
        let symbol = request.query("symbol").map(Symbol::new);
        let (Some(Ok(run)), Some(Ok(symbol))) = (run, symbol) else {
            return refusal(StatusCode::BAD_REQUEST, "name a run and a symbol");
        };
        let hub = Arc::clone(&self.hub);
        Reply::Later(Box::new(move || answer(hub.detail(&run, &symbol))))
    }

    fn stream(&self, run: Option<RunId>) -> Reply {
        match self.hub.subscribe(run) {
            Some(subscription) => Reply::Stream(subscription),
            None => refusal(StatusCode::SERVICE_UNAVAILABLE, "too many runs are looked at"),
        }
    }
}

impl Handler for Site {
    fn handle(&self, request: &Request<'_>) -> Reply {
        let asset = |kind, text: &'static str| Page::new(kind, Bytes::from_static(text.as_bytes()));
        match request.path() {
            "/" => asset(HTML, self.assets.html).into(),
            "/app.js" => asset(JS, self.assets.app_js).into(),
            "/app.css" => asset(CSS, self.assets.app_css).into(),
            "/uplot.js" => asset(JS, self.assets.uplot_js).into(),
            "/uplot.css" => asset(CSS, self.assets.uplot_css).into(),
            "/api/page" => with_run(request, |run| self.page(run)),
            "/api/symbol" => self.symbol(request),
            "/api/stream" => with_run(request, |run| self.stream(run)),
            _ => refusal(StatusCode::NOT_FOUND, "there is no such page"),
        }
    }
}

/// Reads the run that a request names; it may name none.
fn with_run(request: &Request<'_>, go: impl FnOnce(Option<RunId>) -> Reply) -> Reply {
    match request.query("run").map(RunId::new).transpose() {
        Ok(run) => go(run),
        Err(_) => refusal(StatusCode::BAD_REQUEST, "this is no run id"),
    }
}

fn answer(json: Result<Bytes, Missing>) -> Page {
    match json {
        Ok(json) => Page::json(json),
        Err(missing) => {
            let status = match missing {
                Missing::Runs | Missing::Run | Missing::Symbol => StatusCode::NOT_FOUND,
                Missing::Unreadable => StatusCode::INTERNAL_SERVER_ERROR,
            };
            Page::refusal(status, &missing.to_string())
        }
    }
}

fn refusal(status: StatusCode, words: &str) -> Reply {
    Page::refusal(status, words).into()
}

//! What the page is made of: the files below `assets/`, which the static report embeds and a server hands out.

/// The static page: `<!--STYLE-->`, `<!--DATA-->` and `<!--SCRIPT-->` stand where those belong.
pub const INDEX: &str = include_str!("../assets/index.html");

/// The live page, which loads its parts by name.
pub const LIVE: &str = include_str!("../assets/live.html");

/// The page's own script.
pub const APP_JS: &str = concat!(
    include_str!("../assets/js/base.js"),
    include_str!("../assets/js/charts.js"),
    include_str!("../assets/js/timeline.js"),
    include_str!("../assets/js/table.js"),
    include_str!("../assets/js/overview.js"),
    include_str!("../assets/js/results.js"),
    include_str!("../assets/js/symbol.js"),
    include_str!("../assets/js/live.js"),
    include_str!("../assets/js/app.js"),
);

/// The page's own style.
pub const APP_CSS: &str = include_str!("../assets/app.css");

/// The chart library, uPlot.
pub const UPLOT_JS: &str = include_str!("../assets/vendor/uplot/uPlot.iife.min.js");

/// Its style.
pub const UPLOT_CSS: &str = include_str!("../assets/vendor/uplot/uPlot.min.css");

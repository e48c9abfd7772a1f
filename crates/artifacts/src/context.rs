//! What all parts of an open store share.

use std::sync::Arc;

use crate::metrics::StoreMetrics;
use crate::vfs::Vfs;

/// What all parts of an open store share.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) metrics: Arc<dyn StoreMetrics>,
    /// The file system's name, when other machines may have it mounted too.
    pub(crate) network: Option<&'static str>,
}

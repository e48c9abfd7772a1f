//! Arguments of the commands that change the store or look into it, and what their help adds.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct RollbackArgs {
    /// The symbol
    #[arg(value_name = "SYMBOL")]
    pub(crate) symbol: String,
    /// The generation whose content to bring back [default: the newest intact one before the
    /// newest]
    #[arg(long, value_name = "GEN")]
    pub(crate) to: Option<u64>,
    /// Longest wait for the symbol's lock, such as 90s [configuration key: lock.timeout]
    #[arg(long, value_name = "DURATION")]
    pub(crate) lock_timeout: Option<String>,
}

pub(crate) const ROLLBACK_HELP: &str = "\
History only grows: the old content is committed once more, as the newest generation, and nothing is
taken away. Without --to, a second rollback therefore undoes the first.

Example:
  $ mambafleet rollback AAPL --to 3

JSON (type \"rolled_back\"): symbol, generation (the new one), restored_from (where its content comes
from), replaced (the newest intact one until now, or null), created_at, bytes, lock_waited_ms.

Exit codes:
    0  committed
    2  wrong usage or configuration
    4  there is no such generation, or none to go back to
    5  busy: another process holds the lock, or committed meanwhile
    6  the generation is damaged";

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// A symbol, for its newest intact generation, or one generation as SYMBOL@NUMBER
    #[arg(value_name = "SYMBOL[@GEN]")]
    pub(crate) target: String,
    /// The directory to make; it must not exist yet, the one above it must
    #[arg(value_name = "DEST")]
    pub(crate) dest: PathBuf,
}

pub(crate) const EXPORT_HELP: &str = "\
All files and the manifest appear at DEST at once, each byte checked against the manifest; or
nothing does.

Example:
  $ mambafleet export AAPL@3 /srv/models/AAPL

JSON (type \"exported\"): symbol, generation, path, files (their number, the manifest included),
bytes, skipped (faults of newer generations that were passed over).

Exit codes:
    0  copied
    2  wrong usage; DEST exists already or cannot be written
    4  there is no such generation
    6  the generation is damaged, or a newer one is and this is the newest intact one";

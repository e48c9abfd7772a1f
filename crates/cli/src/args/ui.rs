//! Arguments of `ui`, and what its help adds.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::config::parse_address;

#[derive(Debug, Args)]
pub(crate) struct UiArgs {
    /// Address to listen on; with port 0 the system chooses one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7777", value_parser = address)]
    pub(crate) listen: SocketAddr,
    /// Answer only who shows this token, of 16 characters or more; without TOKEN, one is made up.
    /// Others on this machine can see it in the list of processes
    #[arg(
        long,
        value_name = "TOKEN",
        num_args = 0..=1,
        default_missing_value = "",
        conflicts_with = "token_file"
    )]
    pub(crate) token: Option<String>,
    /// The same with the token on the first line of a file
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// A name that requests may call this server by, such as a proxy's (repeatable)
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Vec<String>,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    parse_address(text, "127.0.0.1:7777")
}

pub(crate) const UI_HELP: &str = "\
A page over the store and its runs, which follows those that go on, of whatever process. It reads
and writes nothing; the store need not exist yet. The address is printed on standard output. It
goes on until Ctrl-C.

Other machines' requests are taken only with a token. Without one, listen on 127.0.0.1 and come by
`ssh -L 7777:127.0.0.1:7777 HOST`. A request must name this machine by the address that it came to,
as localhost, or by a --host.

Examples:
  $ mambafleet ui
  $ mambafleet ui --listen 0.0.0.0:7777 --token-file token.txt --host fleet.example

JSON (type \"ui\", one line, as soon as it listens): url (with the token if it was made up here).

Exit codes:
    1  the system refuses to listen
    2  wrong usage or configuration; the address is in use; other machines could ask, and there is
       no token
  130  ended by Ctrl-C (SIGINT)
  143  ended by SIGTERM";

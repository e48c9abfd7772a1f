//! The stages of the crash lab, as subcommands. They run as root in a virtual machine of their own,
//! which `tests/crash-lab/run` boots.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    linux::main()
}

/// There is nothing to load and mount here.
#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    println!("the crash lab needs Linux");
    eprintln!("nothing was checked");
    ExitCode::FAILURE
}

#[cfg(target_os = "linux")]
mod linux {
    use std::path::PathBuf;
    use std::process::ExitCode;

    use clap::{Parser, Subcommand, ValueEnum};
    use mambafleet_crash_lab::device::FileSystem;
    use mambafleet_crash_lab::summary::{self, Report};
    use mambafleet_crash_lab::{Context, LabError, broken, flakey, network, states};
    use serde::Serialize;

    /// Checks the artifact store in every state that a crash may leave a disk in.
    #[derive(Parser)]
    struct Arguments {
        #[command(subcommand)]
        stage: Stage,
    }

    #[derive(Subcommand)]
    enum Stage {
        /// Crash states on a file system
        States {
            /// The file system
            #[arg(long)]
            file_system: FileSystem,
            /// A deliberately wrong writer in place of the store
            #[arg(long)]
            broken: Option<Broken>,
            /// How many states
            #[arg(long, default_value_t = 4000)]
            states: u64,
            /// How many random sets of unflushed writes between two flushes
            #[arg(long, default_value_t = 3)]
            sets: usize,
            #[command(flatten)]
            common: Common,
        },
        /// Disks that begin to fail under a workload
        Flakey {
            /// The file system
            #[arg(long)]
            file_system: FileSystem,
            /// How often
            #[arg(long, default_value_t = 18)]
            rounds: u64,
            #[command(flatten)]
            common: Common,
        },
        /// Writers and readers on two mounts of one NFS export
        Nfs {
            /// What the summary calls it
            #[arg(long)]
            label: String,
            /// Where the first client sees the export
            first: PathBuf,
            /// Where the second client sees the export
            second: PathBuf,
            /// For how long
            #[arg(long, default_value_t = 60)]
            seconds: u64,
            #[command(flatten)]
            common: Common,
        },
        /// Writes to a store, as a part of `nfs`
        #[command(hide = true)]
        Write(Part),
        /// Reads from a store, as a part of `nfs`
        #[command(hide = true)]
        Read(Part),
        /// Holds a lock, as a part of `nfs`
        #[command(hide = true)]
        Hold {
            /// The store
            #[arg(long)]
            root: PathBuf,
        },
        /// A table of results; exits 1 when any is not as it should be
        Summary {
            /// The files that the stages wrote
            reports: Vec<PathBuf>,
        },
    }

    #[derive(clap::Args)]
    struct Common {
        /// Decides everything that is random
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// A directory in memory
        #[arg(long)]
        dir: PathBuf,
        /// The file for the result
        #[arg(long)]
        report: PathBuf,
    }

    #[derive(clap::Args)]
    struct Part {
        /// The store
        #[arg(long)]
        root: PathBuf,
        /// Where acknowledged commits are put on record
        #[arg(long)]
        dir: PathBuf,
        /// Which process this is
        #[arg(long)]
        number: u64,
        /// Decides everything that is random
        #[arg(long)]
        seed: u64,
        /// For how long
        #[arg(long)]
        seconds: u64,
    }

    #[derive(Clone, Copy, ValueEnum)]
    enum Broken {
        /// Replaces three files one after another, and syncs nothing
        Renames,
        /// Syncs everything but the directory that holds the generation's name
        NoDirectorySync,
    }

    impl From<Broken> for broken::Flaw {
        fn from(broken: Broken) -> Self {
            match broken {
                Broken::Renames => Self::Renames,
                Broken::NoDirectorySync => Self::NoDirectorySync,
            }
        }
    }

    pub(crate) fn main() -> ExitCode {
        match run(Arguments::parse().stage) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("crash-lab: {error}");
                ExitCode::FAILURE
            }
        }
    }

    fn run(stage: Stage) -> Result<bool, LabError> {
        let (report, common) = match stage {
            Stage::Summary { reports } => return summarise(&reports),
            Stage::States { file_system, broken, states, sets, common } => {
                let (seed, dir) = (common.seed, common.dir.clone());
                let flaw = broken.map(Into::into);
                let options = states::Options { file_system, flaw, states, sets, seed, dir };
                (states::run(&options)?, common)
            }
            Stage::Flakey { file_system, rounds, common } => {
                let (seed, dir) = (common.seed, common.dir.clone());
                let options = flakey::Options { file_system, rounds, seed, dir };
                (flakey::run(&options)?, common)
            }
            Stage::Nfs { label, first, second, seconds, common } => {
                let (seed, dir) = (common.seed, common.dir.clone());
                let mounts = [first, second];
                let options = network::Options { label, mounts, dir, seconds, seed };
                (network::run(&options)?, common)
            }
            Stage::Write(Part { root, dir, number, seed, seconds }) => {
                return print(&network::write(&root, &dir, number, seed, seconds)?);
            }
            Stage::Read(Part { root, dir, seconds, .. }) => {
                return print(&network::read(&root, &dir, seconds)?);
            }
            Stage::Hold { root } => return network::hold(&root).map(|()| true),
        };
        report.save(&common.report)?;
        println!("{}", summary::table(std::slice::from_ref(&report)));
        Ok(report.is_good())
    }

    fn print(result: &impl Serialize) -> Result<bool, LabError> {
        let text = serde_json::to_string(result).context(|| "encode a result".to_owned())?;
        println!("{text}");
        Ok(true)
    }

    fn summarise(paths: &[PathBuf]) -> Result<bool, LabError> {
        let mut reports = Vec::new();
        for path in paths {
            reports.push(Report::load(path)?);
        }
        println!("{}", summary::table(&reports));
        Ok(reports.iter().all(Report::is_good))
    }
}

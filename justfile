# Recipes that mirror CI, the cheapest check first. `just` lists them.

# List the recipes.
default:
    @just --list

# Everything that CI runs.
ci:
    bash .ci/run

# Formatting.
fmt:
    cargo fmt --all --check

# Lints, warnings denied.
lint:
    cargo clippy --workspace --all-targets --locked -- -D warnings

# Documentation without warnings.
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

# The book, into target/book, with all its links checked; installs mdBook, which takes minutes once.
book:
    bash .ci/book

# The commands and links of README and book; PAGE is one document, such as docs/data.md.
book-test PAGE="":
    MAMBAFLEET_TEST_PAGE={{ PAGE }} cargo test --package mambafleet --test end_to_end --locked \
        -- book:: --nocapture

# The tests, as the README runs them.
test:
    cargo test --workspace --locked

# The tests, a process each (cargo install --locked cargo-nextest).
nextest:
    cargo nextest run --workspace --locked
    cargo test --workspace --locked --doc

# The number of dependencies may not grow unnoticed.
deps:
    bash .ci/dependencies

# Licences, sources, duplicate versions; installs cargo-deny.
deny:
    command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
    cargo deny --workspace check bans licenses sources

# Known vulnerabilities; fetches the advisory database, installs cargo-deny.
advisories:
    command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
    cargo deny --workspace check advisories

# How a run looks on terminals of several kinds, by tmux: `just terminal 80x24 200x50 nocolor dumb ascii pipe`.
terminal *KINDS:
    bash tests/terminal/look {{ KINDS }}

# Spelling; installs typos.
typos:
    command -v typos >/dev/null || cargo install --locked typos-cli
    typos

# The Python example against `mambafleet predict`; installs numpy and safetensors into .venv.
python:
    bash .ci/python

# Real prices, end to end: `just real ../shared/data/daily`.
real DATA:
    cargo train --config configs/nightly-tier1.toml --data {{ DATA }} --parallel 10

# The public benchmark ETTh1, three seeds of each horizon, with their means: `just etth1 ../shared/data/ltsf`.
etth1 DATA *HORIZONS:
    bash tests/etth1/run {{ DATA }} {{ HORIZONS }}

# Every state that a crash may leave a disk in, on ext4, xfs and btrfs; failing disks; NFS. Twenty
# minutes in virtual machines; installs what it needs. `just crash-lab --list` names the stages.
crash-lab *ARGS:
    bash tests/crash-lab/run {{ ARGS }}

# The reference page, from the program; a test compares them.
reference:
    page=$(cargo run --quiet --package mambafleet --locked -- reference) && echo "$page" > docs/reference.md

# Kills the orchestrator with SIGKILL at random moments of a run; after each, --resume must complete it.
kills KILLS="50":
    MAMBAFLEET_TEST_KILLS={{ KILLS }} cargo test --package mambafleet --test end_to_end --locked \
        -- --exact supervision::a_run_killed_at_any_moment_is_resumed_without_loss --nocapture

# Kills ten thousand processes at random moments and looks for what was acknowledged; some minutes.
# TMPDIR says where: in memory (/dev/shm) the processes get further before they die.
torture KILLS="10000":
    ARTIFACTS_KILLS={{ KILLS }} cargo test --release --package mambafleet-artifacts --test it --locked \
        -- --exact processes::torture::what_was_acknowledged_survives_kills_at_any_moment --nocapture

# Lints, builds and tests for Windows, under Wine; installs what it needs.
windows *ARGS:
    bash tests/windows/run {{ ARGS }}

# Lints and tests the kernels' NEON code, under QEMU; installs what it needs.
neon *ARGS:
    bash tests/neon/run {{ ARGS }}

# Unsafe code of the kernels that needs no special instructions, under Miri; minutes. Needs a nightly
# toolchain with Miri: rustup toolchain install nightly --component miri,rust-src
miri:
    MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri test \
        --package mambafleet-kernels --locked --lib
    MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri test \
        --package mambafleet-kernels --locked --test it -- scan::a_sudden norm:: optimizer:: conv::the_last

# Every crash state, every failing operation, random orders: the store's proof, with its figures.
proof:
    cargo test --package mambafleet-artifacts --test it --locked -- --nocapture crash:: faults:: schedule:: model::

# What saving, locking and reading cost: criterion's figures, then a table.
bench-artifacts *ARGS:
    cargo bench --package mambafleet-stress --bench artifacts --locked -- {{ ARGS }}

# What reading a symbol's prices costs in each format: criterion's figures, then a table in ms.
bench-reading *ARGS:
    cargo bench --package mambafleet-dataset --bench reading --locked -- {{ ARGS }}

# Each kernel on each instruction set: criterion's figures.
bench-kernels *ARGS:
    cargo bench --package mambafleet-kernels --bench kernels --locked -- {{ ARGS }}

# A training step on each instruction set, beside what the processor could do at best. `nothing` leaves
# criterion's figures out.
bench-step *ARGS="nothing":
    cargo bench --package mambafleet-backend-native --bench step --locked -- {{ ARGS }}

# The parity files: as PyTorch makes them now, and replayed on the native backend; the trainer in
# PyTorch beside the native one; installs PyTorch (some gigabytes) into target/pytorch.
test-pytorch:
    bash tests/pytorch/run

# TensorBoard reads the event files of real runs, and a real MLflow server has them, also when it is
# killed or comes late; installs both from PyPI into target/trackers. Some minutes.
test-trackers:
    bash tests/trackers/run

# What the orchestrator costs: jobs that do nothing, beside xargs and Python's multiprocessing.
bench-overhead:
    cargo bench --package mambafleet-orchestrator --bench overhead --locked

# A training step in mambafleet, PyTorch and JAX, one thread each, in turns; installs what it needs into
# target/pytorch. `--models ref-S --only mambafleet JAX --rounds 3` narrow it down.
bench-peers *ARGS:
    bash tests/peers/run {{ ARGS }}

# The metrics against Prometheus itself: promtool, the rules' tests, a real Prometheus and node exporter;
# installs what it needs.
monitoring *PROGRAM:
    bash tests/monitoring/run {{ PROGRAM }}

# What the live page costs a run with 200 clients that listen, with bad ones besides, and how soon it shows
# what happens; needs Linux. `--rounds 1 --symbols 20` makes it shorter.
bench-ui *ARGS:
    cargo bench --package mambafleet --bench ui --locked -- {{ ARGS }}

# The report and the live page in Chromium: what readers do with them, axe, an HTML validator; installs what
# it needs. `just browser FILE` tests a report that is there already.
browser *ARGS:
    bash tests/browser/run {{ ARGS }}

# The vendored packages are what npm has.
vendor:
    bash tests/browser/vendor

"""Our tables, beside Optuna's in the same database.

Keyed by our own run uuid and the study's name, without foreign keys into Optuna's tables: SQLite gives
Optuna's ids out again after `delete_study`. Times are seconds since the epoch, UTC, as floats: no zone and no
daylight saving can bend them. A metric that is NaN is stored as NULL on every engine, because SQLite knows no
NaN; infinities are stored as they are.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Integer, MetaData, String, Table, Text

metadata = MetaData()

# Compared byte by byte, as SQLite does: a language's order costs PostgreSQL much and means nothing here.
_Name = String(512).with_variant(String(512, collation="C"), "postgresql")
_Id = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows only in a column that says INTEGER

# What stands in such a column is in the artifact store, or names blobs that are: collecting garbage keeps them all.
BLOBS: dict[object, object] = {"blobs": True}

sweeps = Table(
    "sweeper_sweeps",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("sweep", String(32), nullable=False, unique=True),  # uuid4
    Column("study", String(512), nullable=False, index=True),
    Column("command", Text, nullable=False),  # the command line, secrets masked
    Column("settings", Text, nullable=False),  # JSON: hydra.sweeper as resolved
    Column("space", Text, nullable=False),  # JSON: parameter -> the expression it was given as
    Column("sampler", Text, nullable=False),
    Column("pruner", Text, nullable=False),
    Column("user", String(256), nullable=False),
    Column("host", String(256), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("folder", Text, nullable=False),  # hydra.sweep.dir
    Column("code", String(64)),  # of sweeper_code
    Column("root", Text),  # where the code lay: the repository's top, or the script's folder
    Column("cwd", Text),  # where the command was given
    Column("artifacts", Text),  # URL of the store that holds the code's files and the runs' artifacts
    Column("defaults", Text),  # JSON: the app's resolved config with no override at all, secrets masked
    Column("started_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("outcome", String(32)),  # finished, stopped, failed; lost: another driver took over
    Column("n_trials", Integer),  # the study's target total, as extended since
    Column("process", String(128)),  # the driver's, by `record.process.identity`
    Column("lease_until", Double),  # by the clock of `record.lease.clock`
)

requests = Table(
    "sweeper_requests",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("request", String(32), nullable=False, unique=True),  # uuid4
    Column("sweep", String(32), nullable=False, index=True),  # whose driver is asked
    Column("study", String(512), nullable=False),
    Column("kind", String(32), nullable=False),  # stop, pause, extend …
    Column("argument", Text, nullable=False),  # JSON
    Column("user", String(256), nullable=False),
    Column("host", String(256), nullable=False),
    Column("asked_at", Double, nullable=False),
    Column("answered_at", Double),
    Column("outcome", String(16)),  # taken, refused
    Column("answer", Text),
)

runs = Table(
    "sweeper_runs",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("run", String(32), nullable=False, unique=True),  # uuid4
    Column("sweep", String(32), nullable=False),
    Column("study", String(512), nullable=False),
    Column("number", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("state", String(16), nullable=False),  # the names of Optuna's TrialState
    Column("failure", String(32)),
    Column("error", Text),
    Column("traceback", Text),
    Column("config", Text, nullable=False),  # JSON: the whole resolved config, secrets masked
    Column("overrides", Text, nullable=False),  # JSON list
    Column("seed", BigInteger),
    Column("folder", Text, nullable=False),
    Column("node", String(256)),
    Column("pid", Integer),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("runtime_s", Double),
    Column("peak_rss_bytes", BigInteger),
    Column("peak_gpu_memory_bytes", BigInteger),
    Column("gpu_memory_basis", String(16)),  # processes: of the run's own; cards: what was added on its cards
    Column("gpu_seconds", Double),  # cards held, or the share of one, times the time
    Column("energy_j", Double),  # that the cards took; of a card that is shared, the share
    Column("ended_seq", BigInteger),  # of the event that ended it; a later one may correct it
    Column("environment", String(64)),  # of sweeper_environments
    Column("code", String(64)),  # of sweeper_code
    Column("resources", Text),  # JSON: what it was to hold on each of its nodes
    Column("gpu_share", Double),  # how many cards it held, or what share of one
    Column("gpus", Text),  # JSON list: UUIDs of the GPUs that it could see
    Column("determinism", Text),  # JSON: seeds, random generators and flags when the task began
    Column("determinism_at_end", Text),  # JSON: the same when it had ended
    Column("drift", Text),  # JSON list: imported files that are not the code snapshot's
    Column("gaps", Text),  # JSON list: what could not be captured, each with the reason
    Column("completeness", Double),  # share of what is asked for that was captured, 0 to 1
    Column("captured_seq", BigInteger),  # of the event that these came with
    Column("reproduces", String(32)),  # the run that this one repeats
    Column("verdict", Text),  # JSON: how it compares with that run
    Index("ix_sweeper_runs_trial", "study", "number", "attempt", unique=True),
)

environments = Table(
    "sweeper_environments",
    metadata,
    Column("environment", String(64), primary_key=True),  # sha256 of the document
    Column("document", Text, nullable=False),  # JSON: interpreter, system, hardware, packages, frameworks, variables
    Column("captured_at", Double, nullable=False),  # by the first run that had it
)

code = Table(
    "sweeper_code",
    metadata,
    Column("code", String(64), primary_key=True),  # sha256 of the document
    Column("commit", String(64)),  # of the repository, in full; NULL for code outside any
    Column("branch", Text),
    Column("remote", Text),  # its URL, credentials removed
    Column("is_dirty", Boolean),
    Column("document", Text, nullable=False, info=BLOBS),  # JSON: tree, diff, files as blobs of the store, submodules
    Column("taken_at", Double, nullable=False),
)

metrics = Table(
    "sweeper_metrics",
    metadata,
    Column("run_id", _Id, primary_key=True),  # no foreign key: PostgreSQL takes half its time to check one
    Column("name", _Name, primary_key=True),
    Column("step", BigInteger, primary_key=True),
    Column("value", Double),
    Column("time", Double, nullable=False),
    Column("seq", BigInteger, nullable=False),  # of the event that brought it; the later one wins
    sqlite_with_rowid=False,
)

test_metrics = Table(
    "sweeper_test_metrics",
    metadata,
    Column("run_id", _Id, primary_key=True),
    Column("seq", BigInteger, primary_key=True),  # of the event, which is one look at the test data
    Column("name", _Name, primary_key=True),
    Column("step", BigInteger),
    Column("value", Double),
    Column("time", Double, nullable=False),
    sqlite_with_rowid=False,
)

artifacts = Table(
    "sweeper_artifacts",
    metadata,
    Column("run_id", _Id, primary_key=True),
    Column("name", _Name, primary_key=True),  # within the run, folders parted by /
    Column("kind", String(32), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", String(64), info=BLOBS),  # None: it could not be kept, and `error` says why
    Column("error", Text),
    Column("time", Double, nullable=False),
    Column("seq", BigInteger, nullable=False),  # of the event that brought it; the later one wins
    Index("ix_sweeper_artifacts_sha256", "sha256"),
    sqlite_with_rowid=False,
)

data = Table(
    "sweeper_data",
    metadata,
    Column("run_id", _Id, primary_key=True),
    Column("name", _Name, primary_key=True),
    Column("url", Text, nullable=False),  # a path or a URL, secrets masked
    Column("files", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", String(64), info=BLOBS),  # of the file, or of the manifest
    Column("manifest", Boolean, nullable=False),  # whether it is a folder, whose manifest is in the store
    Column("error", Text),
    Column("time", Double, nullable=False),
    Column("seq", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

STUDY_ITSELF = -1  # in the place of a trial's number

tags = Table(
    "sweeper_tags",
    metadata,
    Column("study", _Name, primary_key=True),
    Column("number", Integer, primary_key=True),  # of the trial, or STUDY_ITSELF
    Column("tag", String(100), primary_key=True),
    Column("user", String(256), nullable=False),
    Column("time", Double, nullable=False),
    sqlite_with_rowid=False,
)

writers = Table(
    "sweeper_writers",
    metadata,
    Column("writer", String(32), primary_key=True),  # uuid4 of one open Storage
    Column("seq", BigInteger, nullable=False),  # of its last transaction that was committed
    Column("written_at", Double, nullable=False),
    sqlite_with_rowid=False,
)

OF_RUNS = (metrics, test_metrics, artifacts, data)  # tables whose rows belong to a run and go with it

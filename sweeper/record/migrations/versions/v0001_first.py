"""The first schema: sweeps, requests to their drivers, runs and what they were made of, metrics, writers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of sweeper 0.1."""
    _sweeps()
    _requests()
    _runs()
    _environments()
    _code()
    _metrics()
    _test_metrics()
    _artifacts()
    _data()
    _tags()
    op.create_table(
        "sweeper_writers",
        sa.Column("writer", sa.String(32), primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("written_at", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )


def _id() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _sweeps() -> None:
    op.create_table(
        "sweeper_sweeps",
        sa.Column("id", _id(), primary_key=True),
        sa.Column("sweep", sa.String(32), nullable=False, unique=True),
        sa.Column("study", sa.String(512), nullable=False),
        sa.Column("command", sa.Text, nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("space", sa.Text, nullable=False),
        sa.Column("sampler", sa.Text, nullable=False),
        sa.Column("pruner", sa.Text, nullable=False),
        sa.Column("user", sa.String(256), nullable=False),
        sa.Column("host", sa.String(256), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("folder", sa.Text, nullable=False),
        sa.Column("code", sa.String(64)),
        sa.Column("root", sa.Text),
        sa.Column("cwd", sa.Text),
        sa.Column("artifacts", sa.Text),
        sa.Column("defaults", sa.Text),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("ended_at", sa.Double),
        sa.Column("outcome", sa.String(32)),
        sa.Column("n_trials", sa.Integer),
        sa.Column("process", sa.String(128)),
        sa.Column("lease_until", sa.Double),
    )
    op.create_index("ix_sweeper_sweeps_study", "sweeper_sweeps", ["study"])


def _requests() -> None:
    op.create_table(
        "sweeper_requests",
        sa.Column("id", _id(), primary_key=True),
        sa.Column("request", sa.String(32), nullable=False, unique=True),
        sa.Column("sweep", sa.String(32), nullable=False),
        sa.Column("study", sa.String(512), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("argument", sa.Text, nullable=False),
        sa.Column("user", sa.String(256), nullable=False),
        sa.Column("host", sa.String(256), nullable=False),
        sa.Column("asked_at", sa.Double, nullable=False),
        sa.Column("answered_at", sa.Double),
        sa.Column("outcome", sa.String(16)),
        sa.Column("answer", sa.Text),
    )
    op.create_index("ix_sweeper_requests_sweep", "sweeper_requests", ["sweep"])


def _runs() -> None:
    op.create_table(
        "sweeper_runs",
        sa.Column("id", _id(), primary_key=True),
        sa.Column("run", sa.String(32), nullable=False, unique=True),
        sa.Column("sweep", sa.String(32), nullable=False),
        sa.Column("study", sa.String(512), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("failure", sa.String(32)),
        sa.Column("error", sa.Text),
        sa.Column("traceback", sa.Text),
        sa.Column("config", sa.Text, nullable=False),
        sa.Column("overrides", sa.Text, nullable=False),
        sa.Column("seed", sa.BigInteger),
        sa.Column("folder", sa.Text, nullable=False),
        sa.Column("node", sa.String(256)),
        sa.Column("pid", sa.Integer),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("started_at", sa.Double),
        sa.Column("ended_at", sa.Double),
        sa.Column("runtime_s", sa.Double),
        sa.Column("peak_rss_bytes", sa.BigInteger),
        sa.Column("peak_gpu_memory_bytes", sa.BigInteger),
        sa.Column("gpu_memory_basis", sa.String(16)),
        sa.Column("gpu_seconds", sa.Double),
        sa.Column("energy_j", sa.Double),
        sa.Column("ended_seq", sa.BigInteger),
        sa.Column("environment", sa.String(64)),
        sa.Column("code", sa.String(64)),
        sa.Column("resources", sa.Text),
        sa.Column("gpu_share", sa.Double),
        sa.Column("gpus", sa.Text),
        sa.Column("determinism", sa.Text),
        sa.Column("determinism_at_end", sa.Text),
        sa.Column("drift", sa.Text),
        sa.Column("gaps", sa.Text),
        sa.Column("completeness", sa.Double),
        sa.Column("captured_seq", sa.BigInteger),
        sa.Column("reproduces", sa.String(32)),
        sa.Column("verdict", sa.Text),
    )
    op.create_index("ix_sweeper_runs_trial", "sweeper_runs", ["study", "number", "attempt"], unique=True)


def _environments() -> None:
    op.create_table(
        "sweeper_environments",
        sa.Column("environment", sa.String(64), primary_key=True),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("captured_at", sa.Double, nullable=False),
    )


def _code() -> None:
    op.create_table(
        "sweeper_code",
        sa.Column("code", sa.String(64), primary_key=True),
        sa.Column("commit", sa.String(64)),
        sa.Column("branch", sa.Text),
        sa.Column("remote", sa.Text),
        sa.Column("is_dirty", sa.Boolean),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("taken_at", sa.Double, nullable=False),
    )


def _name() -> sa.types.TypeEngine[str]:
    return sa.String(512).with_variant(sa.String(512, collation="C"), "postgresql")


def _metrics() -> None:
    op.create_table(
        "sweeper_metrics",
        sa.Column("run_id", _id(), primary_key=True),
        sa.Column("name", _name(), primary_key=True),
        sa.Column("step", sa.BigInteger, primary_key=True),
        sa.Column("value", sa.Double),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )


def _test_metrics() -> None:
    op.create_table(
        "sweeper_test_metrics",
        sa.Column("run_id", _id(), primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True),
        sa.Column("name", _name(), primary_key=True),
        sa.Column("step", sa.BigInteger),
        sa.Column("value", sa.Double),
        sa.Column("time", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )


def _artifacts() -> None:
    op.create_table(
        "sweeper_artifacts",
        sa.Column("run_id", _id(), primary_key=True),
        sa.Column("name", _name(), primary_key=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(64)),
        sa.Column("error", sa.Text),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_sweeper_artifacts_sha256", "sweeper_artifacts", ["sha256"])


def _data() -> None:
    op.create_table(
        "sweeper_data",
        sa.Column("run_id", _id(), primary_key=True),
        sa.Column("name", _name(), primary_key=True),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("files", sa.BigInteger, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(64)),
        sa.Column("manifest", sa.Boolean, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )


def _tags() -> None:
    op.create_table(
        "sweeper_tags",
        sa.Column("study", _name(), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("tag", sa.String(100), primary_key=True),
        sa.Column("user", sa.String(256), nullable=False),
        sa.Column("time", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )

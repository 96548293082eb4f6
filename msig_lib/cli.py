"""The command line `msig`: run notebooks, check them, build the book, read the ledger, look after data."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from msig_lib import cli_claims, cli_data, cli_label, cli_mine, cli_site
from msig_lib.errors import MsigError, message

if TYPE_CHECKING:
    from msig_lib.project import Project
    from msig_lib.runs.execute import Outcome
    from msig_lib.runs.key import Job


class Msig(typer.Typer):
    """The app; a user's mistake ends it with a message and status 1 instead of a traceback."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except Exception as error:
            # Errors that this library defines are messages for the user; any other is a defect of ours.
            ours = type(error).__module__.split(".")[0] == "msig_lib"
            if "--debug" in sys.argv or not ours:
                raise
            print(f"error: {message(error)}", file=sys.stderr)
            raise SystemExit(1) from None


def _sub(text: str) -> typer.Typer:
    return typer.Typer(help=text, no_args_is_help=True, rich_markup_mode=None)


app = Msig(
    help="The book on model-generated training signals: run, check, build, judge.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
runs_app = _sub("Cached runs: list, prune.")
app.command()(cli_claims.claims)
app.command()(cli_label.label)
app.command()(cli_mine.mine)
app.command()(cli_site.pdf)
app.command()(cli_site.linkcheck)
app.add_typer(cli_data.app, name="data")
app.add_typer(runs_app, name="runs")

Chapters = Annotated[
    list[str] | None, typer.Argument(metavar="[CHAPTER]...", help="Names or prefixes (ch02); none: all.")
]
TierName = Annotated[str, typer.Option("--tier", help="smoke, quick, full or paper.")]
Threads = Annotated[
    int | None, typer.Option(min=1, help="Threads a notebook gets (default: 2, or fewer cores).")
]
Force = Annotated[bool, typer.Option("--force", help="Run even when the cache has the same run.")]


@app.callback()
def main(debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False) -> None:
    """Options that come before the command."""


def _project() -> Project:
    from msig_lib.project import project

    return project()


def _jobs(
    chapters: list[str] | None, tier: str, p: list[str] | None = None, seeds: int | None = None
) -> list[Job]:
    from msig_lib.runs import key, parameters

    given: dict[str, Any] = dict(parameters.from_options(p or []))
    if seeds is not None:
        if "seeds" in given:
            raise MsigError("give either --seeds or -p seeds=..., not both")
        given["seeds"] = list(range(seeds))
    return key.plan(_project(), list(chapters or []), tier, given)


def _run(jobs: list[Job], threads: int | None, force: bool = False) -> list[Outcome]:
    from msig_lib.runs import execute, kernel
    from msig_lib.runs.progress import Progress

    with Progress(len(jobs)) as progress:
        return execute.run_all(
            _project(), jobs, threads=threads or kernel.default_threads(), force=force, progress=progress
        )


def _end(kind: str, failed: dict[str, str | None], total: int) -> None:
    """Say in the last lines what failed, and end with status 1 when anything did."""
    if failed:
        print(f"\n{len(failed)} of {total} notebooks {kind}: {', '.join(failed)}", file=sys.stderr)
        for chapter, error in failed.items():
            print(f"\n{chapter}: {error}", file=sys.stderr)
        raise typer.Exit(1)


@app.command()
def run(
    chapters: Chapters = None,
    tier: TierName = "quick",
    p: Annotated[list[str] | None, typer.Option("-p", "--p", help="name=value; may be repeated.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="N seeds: parameter seeds=[0..N-1].")] = None,
    force: Force = False,
    threads: Threads = None,
    explain: Annotated[bool, typer.Option("--explain", help="Only say what would run, and why.")] = False,
    record: Annotated[bool, typer.Option("--record", help="Keep the results in book/recorded.")] = False,
) -> None:
    """Execute notebooks; what ran before with the same code, parameters, data and lock is not repeated."""
    jobs = _jobs(chapters, tier, p, seeds)
    if explain:
        for job in jobs:
            print(f"{job.chapter} ({tier}): {_why(job, force)}")
        return
    if record and (p or seeds is not None):
        raise MsigError(
            "--record keeps a tier's own results; leave out -p and --seeds, or change the tier file"
        )
    outcomes = _run(jobs, threads, force)
    for outcome in outcomes if record else []:
        if outcome.run_dir:
            print(f"recorded: {cli_claims.record(outcome.job.chapter, tier, outcome.run_dir)}")
    _end("failed", {o.job.chapter: o.error for o in outcomes if o.error}, len(jobs))


def _why(job: Job, force: bool) -> str:
    from msig_lib.runs import key, store

    if job.problem:
        return f"cannot run: {job.problem}"
    found, told = store.find(job.chapter, job.tier, job.key)
    if found and not force:
        return f"cached: key {job.key[:12]}, {found.finished[:19]}, took {found.marker['seconds']:.1f} s"
    last = store.latest(job.chapter, job.tier)
    reasons = ["--force"] if force and found else list(told)
    if last and not reasons:
        reasons = key.differences(last.marker["parts"], job.parts)
    return "would run: " + ("; ".join(reasons) or "no earlier run at this tier")


@app.command()
def check(chapters: Chapters = None, force: Force = False, threads: Threads = None) -> None:
    """Execute notebooks at tier smoke twice (papermill, then nbval) and compare the outputs."""
    from msig_lib.runs import kernel, recheck
    from msig_lib.runs.progress import Progress

    jobs = _jobs(chapters, recheck.TIER)
    stored = recheck.sources(jobs)
    with Progress(len(jobs)) as progress:
        checked = recheck.check_all(
            _project(), jobs, threads=threads or kernel.default_threads(), force=force, progress=progress
        )
    failed = {one.chapter: one.error for one in checked if one.error}
    if stored:
        print("\n" + "\n".join(stored), file=sys.stderr)
    _end("failed the check", failed, len(jobs))
    if stored:
        raise typer.Exit(1)
    print(f"{len(jobs)} notebooks gave the same outputs twice")


@app.command()
def book(
    tier: TierName = "quick",
    no_run: Annotated[bool, typer.Option("--no-run", help="Use the latest runs; run nothing.")] = False,
    threads: Threads = None,
) -> None:
    """Run what is not cached and render the book; prints the page to open."""
    if no_run:
        runs, missing = cli_claims.latest(_jobs(None, tier))
        if missing:
            raise MsigError(f"no run of {', '.join(missing)} at tier {tier} yet; leave out --no-run")
        cached = set(runs)
    else:
        jobs = _jobs(None, tier)
        outcomes = _run(jobs, threads)
        _end("failed", {o.job.chapter: o.error for o in outcomes if o.error}, len(jobs))
        runs = {o.job.chapter: o.run_dir for o in outcomes if o.run_dir}
        cached = {o.job.chapter for o in outcomes if o.cached}
    from msig_lib.site.build import build

    print(f"open {build(_project(), runs, tier, cli_claims.verdicts(runs, tier), cached)}")


@app.command()
def doctor() -> None:
    """Look at this machine and say what to do about what is not right."""
    from msig_lib.cli_doctor import examine

    findings = examine(_project())
    for finding in findings:
        print(f"{finding.level:<4}  {finding.what}" + (f"\n      -> {finding.todo}" if finding.todo else ""))
    failed = sum(finding.level == "fail" for finding in findings)
    if failed:
        print(f"{failed} to correct before the book can be made", file=sys.stderr)
        raise typer.Exit(1)


@runs_app.command("list")
def runs_list() -> None:
    """Show the complete runs in the cache, the latest first in each chapter and tier."""
    from msig_lib.runs import store

    for run in store.every():
        marker = run.marker
        size = run.size() / 2**20
        print(
            f"{marker['chapter']:<34} {marker['tier']:<6} {run.key[:12]} {run.finished[:19]} "
            f"{marker['seconds']:>7.1f} s {size:>7.1f} MiB"
        )
    print(f"in {store.runs_root()}")


@runs_app.command("prune")
def runs_prune(
    keep: Annotated[int, typer.Option(min=0, help="Runs to keep a chapter and tier.")] = 2,
) -> None:
    """Delete older runs, kept failures and damaged runs."""
    from msig_lib.runs import store

    count, size = store.prune(keep)
    print(f"{count} runs deleted, {size / 2**20:.1f} MiB freed")


if __name__ == "__main__":
    app(prog_name=os.path.basename("msig"))

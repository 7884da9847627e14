"""Pathways: which are published, what one says, whether it is sound, what carries each cited item."""

from __future__ import annotations

import json
from pathlib import Path

import click
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from yaml import YAMLError

from tracker import pathways
from tracker.commands.common import count, desk, json_option, print_json, print_table
from tracker.errors import WrongSetting
from workflows import lint
from workflows.parts import FollowUpRule
from workflows.pathway import Pathway, load

_folder = click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder of YAML files instead of the pathway that is shipped.",
)


@click.group()
def pathway() -> None:
    """Look at, check and publish pathways."""


def _chosen(folder: Path | None) -> Pathway:
    if folder is None:
        return pathways.shipped()
    if not any(folder.glob("*.yaml")):
        raise WrongSetting(f"{folder.name} is not a pathway: it holds no .yaml file")
    try:
        return load(folder)
    except ValidationError as error:
        raise WrongSetting(
            *(f"{folder.name} is not a pathway: {_problem(found)}" for found in error.errors())
        ) from error
    except (ValueError, YAMLError) as error:
        raise WrongSetting(f"{folder.name} is not a pathway: {error}") from error


def _problem(found: ErrorDetails) -> str:
    where = ".".join(str(part) for part in found["loc"]) or "as a whole"
    if found["type"] == "missing":
        return f"{where} is missing"
    return f"{where}: {found['msg'].removeprefix('Value error, ')}"


@pathway.command("list")
@json_option
def list_(as_json: bool) -> None:
    """The published pathways, newest first."""
    with desk() as d, d.database.reading() as session:
        found = pathways.published(session)
    if as_json:
        print_json({"pathways": found})
    else:
        print_table(
            ("Pathway", "Version", "Digest", "Published"),
            [(p["pathway"], p["version"], p["digest"][:12], p["published_at"]) for p in found],
        )


@pathway.command()
@_folder
@json_option
def show(folder: Path | None, as_json: bool) -> None:
    """The pathway as one document."""
    chosen = _chosen(folder)
    if as_json:
        print_json(json.loads(chosen.canonical))
        return
    click.echo(f"{chosen.title}, version {chosen.version}, {chosen.digest[:12]}\n{chosen.disclaimer}\n")
    for rule in chosen.follow_ups:
        click.echo(
            f"{rule.id}: {rule.activity}, {_often(rule)}, -{rule.before}/+{rule.after} days [{', '.join(rule.sources)}]"
        )


def _often(rule: FollowUpRule) -> str:
    if rule.variants:
        return " or ".join(str(variant.every) for variant in rule.variants)
    if rule.every is not None:
        return "every cycle" if rule.every == "cycle" else f"every {rule.every}"
    once = "once for each dose" if rule.follows else "once"
    if rule.offset_days:
        return f"{once}, {count(-rule.offset_days, 'day')} before"
    if rule.first is None:
        return once
    return f"{once}, after {rule.first}" if rule.first.count else f"{once}, at once"


@pathway.command()
@_folder
@json_option
def check(folder: Path | None, as_json: bool) -> None:
    """Look for states nobody reaches, unknown facts, rules without a source, items carried by nothing."""
    findings = lint.lint(_chosen(folder))
    if as_json:
        print_json({"findings": [{"code": f.code, "where": f.where, "message": f.message} for f in findings]})
    else:
        for finding in findings:
            click.echo(f"{finding.where}: {finding.message} ({finding.code})")
        click.echo(f"{count(len(findings), 'finding')}.")
    if findings:
        raise click.exceptions.Exit(1)


@pathway.command()
@_folder
@json_option
def coverage(folder: Path | None, as_json: bool) -> None:
    """Every item that the two source documents name, with what carries it."""
    carried = lint.coverage(_chosen(folder))
    count = sum(1 for carriers in carried.values() if carriers)
    if as_json:
        items = [{"id": item, "carried_by": list(carriers)} for item, carriers in carried.items()]
        print_json({"of": len(carried), "carried": count, "items": items})
    else:
        for item, carriers in carried.items():
            click.echo(f"{item}  {'; '.join(carriers) or 'NOTHING'}")
        click.echo(f"{count} of {len(carried)} carried.")
    if count < len(carried):
        raise click.exceptions.Exit(1)


@pathway.command()
@_folder
@json_option
def publish(folder: Path | None, as_json: bool) -> None:
    """Store a sound pathway under its digest; new cases start on it, cases under way stay where they are."""
    chosen = _chosen(folder)
    findings = lint.lint(chosen)
    if findings:
        raise WrongSetting(*(f"{f.where}: {f.message}" for f in findings))
    with desk(create=True) as d, d.writing() as writing:
        digest = pathways.publish(writing, chosen)
    if as_json:
        print_json({"pathway": chosen.id, "version": chosen.version, "digest": digest})
    else:
        click.echo(f"Published {chosen.id} {chosen.version} as {digest[:12]}.")

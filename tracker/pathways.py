"""Published pathways: stored under their digest, read back once per process."""

from __future__ import annotations

from functools import cache

from sqlmodel import Session, col, select

from tracker.errors import UnknownThing
from tracker.models import PathwayVersion
from tracker.writing import Writing
from workflows.pathway import Pathway, from_canonical, load

_read: dict[str, Pathway] = {}


@cache
def shipped() -> Pathway:
    """The pathway that comes with the program."""
    return load()


def publish(writing: Writing, pathway: Pathway) -> str:
    """Store the pathway under its digest, once; returns the digest."""
    if writing.session.get(PathwayVersion, pathway.digest) is None:
        writing.session.add(
            PathwayVersion(
                digest=pathway.digest,
                pathway=pathway.id,
                version=pathway.version,
                document=pathway.canonical,
                published_at=writing.now,
                published_by=writing.actor,
            )
        )
        writing.session.flush()
    return pathway.digest


def pinned(session: Session, digest: str) -> Pathway:
    """The pathway that a case runs on; raises :class:`UnknownThing` where it was never published."""
    found = _read.get(digest)
    if found is None:
        row = session.get(PathwayVersion, digest)
        if row is None:
            raise UnknownThing(f"no pathway is published under {digest[:12]}…")
        found = _read[digest] = from_canonical(row.document)
    return found


def latest(session: Session) -> Pathway:
    """The pathway on which new cases start: the one published last."""
    newest = select(PathwayVersion.digest).order_by(col(PathwayVersion.published_at).desc()).limit(1)
    digest = session.exec(newest).first()
    if digest is None:
        raise UnknownThing("no pathway is published; run `tracker init`")
    return pinned(session, digest)


def published(session: Session) -> list[dict[str, str]]:
    """Every published pathway, newest first."""
    version = PathwayVersion
    columns = select(version.pathway, version.version, version.digest, version.published_at)
    return [
        {"pathway": pathway, "version": number, "digest": digest, "published_at": at.isoformat()}
        for pathway, number, digest, at in session.exec(columns.order_by(col(version.published_at).desc()))
    ]


def ever(session: Session) -> list[Pathway]:
    """Every pathway that was published, newest first: a case stays on the one that it began on."""
    return [pinned(session, row["digest"]) for row in published(session)]

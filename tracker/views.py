"""How each person has the worklist: views under a name of their own, chosen columns, and what they search for."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, func, update
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from tracker.errors import ChangeRefused, UnknownThing
from tracker.models import ChosenColumns, SavedView, SearchWords
from tracker.writing import Writing, added
from workflows.limits import quoted

MOST = 30
"""Views of one person; a longer list is no help any more."""
_LONGEST_NAME = 60
_LONGEST_WORDS = 120
_KEPT = timedelta(hours=12)
"""How long the words of a search are kept: a working day."""

# Views -----------------------------------------------------------------------------------------------------


def views_of(session: Session, account_id: int) -> list[SavedView]:
    """Somebody's views, by name."""
    found = select(SavedView).where(SavedView.account_id == account_id).order_by(func.lower(SavedView.name))
    return list(session.exec(found))


def start_of(session: Session, account_id: int) -> SavedView | None:
    """The view with which somebody's worklist opens."""
    return session.exec(
        select(SavedView).where(SavedView.account_id == account_id, col(SavedView.starts).is_(True))
    ).first()


def save(writing: Writing, account_id: int, name: str, question: str) -> SavedView:
    """Keep filters under a name; a view of that name that there is holds them from now on."""
    name = _fit(name)
    named = _named(account_id, name)
    found = writing.session.exec(named).first()
    if found is None:
        if len(views_of(writing.session, account_id)) >= MOST:
            raise ChangeRefused(f"there are {MOST} views already; delete one first")
        found = SavedView(account_id=account_id, name=name, question=question)
        if not added(writing.session, found):
            found = writing.session.exec(named).one()
    found.question = question
    writing.session.add(found)
    writing.session.flush()
    return found


def rename(writing: Writing, account_id: int, number: int, name: str) -> SavedView:
    """Give a view another name; raises :class:`ChangeRefused` where another one has it."""
    view, name = own(writing.session, account_id, number), _fit(name)
    other = writing.session.exec(_named(account_id, name)).first()
    if other is not None and other.id != view.id:
        raise ChangeRefused(f"another view is called {quoted(name)}")
    view.name = name
    writing.session.add(view)
    writing.session.flush()
    return view


def remove(writing: Writing, account_id: int, number: int) -> SavedView:
    """Delete a view. The cases in it stay what they are."""
    view = own(writing.session, account_id, number)
    writing.session.delete(view)
    writing.session.flush()
    return view


def start_with(writing: Writing, account_id: int, number: int | None) -> SavedView | None:
    """Open the worklist with a view from now on; with None, as it comes."""
    view = None if number is None else own(writing.session, account_id, number)
    mine = update(SavedView).where(col(SavedView.account_id) == account_id)
    writing.session.execute(mine.values(starts=col(SavedView.id) == number if number is not None else False))
    if view is not None:
        writing.session.refresh(view)
    return view


def own(session: Session, account_id: int, number: int) -> SavedView:
    """One of somebody's own views; raises :class:`UnknownThing` for another person's."""
    view = session.get(SavedView, number)
    if view is None or view.account_id != account_id:
        raise UnknownThing("there is no such view")
    return view


def _named(account_id: int, name: str) -> SelectOfScalar[SavedView]:
    return select(SavedView).where(SavedView.account_id == account_id, SavedView.name == name)


def _fit(name: str) -> str:
    name = " ".join(name.split())
    if not name:
        raise ChangeRefused("a view needs a name")
    if len(name) > _LONGEST_NAME or "\0" in name:
        raise ChangeRefused(f"the name of a view has at most {_LONGEST_NAME} letters")
    return name


# Columns ---------------------------------------------------------------------------------------------------


def columns_of(session: Session, account_id: int) -> list[str] | None:
    """The columns that somebody chose; None where they never did."""
    found = session.get(ChosenColumns, account_id)
    return found.names.split() if found else None


def choose_columns(writing: Writing, account_id: int, names: Sequence[str]) -> None:
    """Remember which columns somebody wants."""
    session, row = writing.session, ChosenColumns(account_id=account_id, names=" ".join(names))
    if session.get(ChosenColumns, account_id) is not None or not added(session, row):
        session.merge(row)
        session.flush()


# Searches --------------------------------------------------------------------------------------------------


def keep_words(writing: Writing, account_id: int, words: str) -> str:
    """Keep what somebody looks for, for a working day; returns what stands for it in an address."""
    session = writing.session
    forget_words(session, writing.now)
    words = " ".join(words.replace("\0", "").split())[:_LONGEST_WORDS]
    same = select(SearchWords).where(SearchWords.account_id == account_id, SearchWords.words == words)
    kept = session.exec(same).first()
    if kept is None:
        kept = SearchWords(token=secrets.token_hex(8), account_id=account_id, words=words, at=writing.now)
        session.add(kept)
    kept.at = writing.now
    session.flush()
    return kept.token


def words_of(session: Session, account_id: int, token: str, now: datetime) -> str | None:
    """What somebody looked for; None where it was somebody else, or too long ago."""
    found = session.get(SearchWords, token) if "\0" not in token else None
    if found is None or found.account_id != account_id or found.at < now - _KEPT:
        return None
    return found.words


def forget_words(session: Session, now: datetime) -> None:
    """Remove what was looked for too long ago; it may be a name."""
    session.execute(delete(SearchWords).where(col(SearchWords.at) < now - _KEPT))

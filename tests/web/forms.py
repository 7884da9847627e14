"""Filling in the forms of a page, as a browser without scripts would."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[tuple[dict[str, str], dict[str, str]]] = []
        self._select = self._area = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append((given, {}))
        if not self.forms:
            return
        fields = self.forms[-1][1]
        name = given.get("name", "")
        if tag == "input" and given.get("type") in ("checkbox", "radio"):
            if "checked" in given:
                fields[name] = given.get("value", "on")
        elif tag == "input" and name:
            fields[name] = given.get("value", "")
        elif tag == "select":
            self._select = name
        elif tag == "textarea":
            self._area = name
            fields[name] = ""
        elif tag == "option" and self._select and ("selected" in given or self._select not in fields):
            fields[self._select] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""
        if tag == "textarea":
            self._area = ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self.forms[-1][1][self._area] += data


def form_on(answer: TestResponse, path: str) -> tuple[str, dict[str, str]]:
    """The form of a page whose address has this in it: where it goes, and what its fields hold."""
    parser = _Forms()
    parser.feed(answer.text)
    for attributes, fields in parser.forms:
        if path in attributes.get("action", ""):
            return attributes["action"], fields
    raise AssertionError(f"no form for {path} on the page; there are {[a for a, _ in parser.forms]}")


def send(client: FlaskClient, answer: TestResponse, path: str, **typed: Any) -> TestResponse:
    """Send the form of a page with something typed into it; a dash in a field's name is written as two underscores."""
    action, fields = form_on(answer, path)
    fields |= {name.replace("__", "."): str(value) for name, value in typed.items()}
    return client.post(action, data=fields)


def words(answer: TestResponse) -> str:
    """What a page says, without its marks."""
    plain = re.sub(r"<[^>]+>", " ", answer.text)
    return re.sub(r"\s+", " ", plain)

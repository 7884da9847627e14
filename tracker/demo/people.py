"""Invented clinics, navigators and patients. Any likeness to a person is chance."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from workflows.dates import Interval


@dataclass(frozen=True, slots=True)
class Navigator:
    """Who follows the cases of a clinic."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Clinic:
    """A clinic with its IANA time zone; ``prefix`` begins its case references."""

    name: str
    timezone: str
    prefix: str
    navigators: tuple[Navigator, ...]


def _navigator(name: str) -> Navigator:
    return Navigator(name, f"{name.lower().replace(' ', '.')}@example.org")


CLINICS = (
    Clinic("North", "Europe/London", "N", (_navigator("Amara Okafor"), _navigator("Bronwen Hughes"))),
    Clinic("West", "America/New_York", "W", (_navigator("Camila Reyes"), _navigator("Dana Whitefeather"))),
    Clinic("South", "Australia/Melbourne", "S", (_navigator("Emi Tanaka"), _navigator("Farah Haddad"))),
)
"""Where the demonstration takes place: on, west and east of the meridian, with summer time in each."""

_WOMEN = (
    "Adaeze", "Agnieszka", "Aisha", "Anneke", "Beatriz", "Chiara", "Deepika", "Elena", "Fatima", "Grace", "Hana",
    "Ingrid", "Jelena", "Keiko", "Leila", "Mairead", "Mei", "Nkechi", "Olga", "Priya", "Rosa", "Saoirse", "Tamar",
    "Uyen", "Valentina", "Wanjiru", "Xiomara", "Yasmin", "Zofia",
)  # fmt: skip
_MEN = (
    "Abdul", "Aleksander", "Anil", "Bence", "Carlos", "Dmitri", "Emeka", "Finn", "Giorgio", "Hassan", "Ibrahim", "Jun",
    "Kwame", "Lars", "Mateo", "Minh", "Nikhil", "Owen", "Pavel", "Quentin", "Rafael", "Samuel", "Tariq", "Ulrich",
    "Viktor", "Wei", "Yusuf", "Zoran",
)  # fmt: skip
_FAMILIES = (
    "Abara", "Almeida", "Andersson", "Bakker", "Banerjee", "Brennan", "Campbell", "Castillo", "Chaudhry", "Cohen",
    "Costa", "Diallo", "Dubois", "Eze", "Fischer", "Garcia", "Gunawardena", "Haugen", "Horvath", "Ito", "Ivanova",
    "Jansen", "Kaya", "Kowalski", "Larsen", "Lindqvist", "Mensah", "Moreau", "Nakamura", "Nguyen", "Novak", "Obi",
    "Papadopoulos", "Petrov", "Quispe", "Rossi", "Said", "Sharma", "Singh", "Sullivan", "Tan", "Tesfaye", "Usman",
    "Varga", "Walker", "Wong", "Yilmaz", "Zhang",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Person:
    """A patient as the register knows one."""

    ref: str
    name: str
    sex: str
    birth_date: date
    mrn: str
    clinic: Clinic
    navigator: Navigator

    def as_data(self) -> dict[str, str]:
        return {
            "ref": self.ref,
            "name": self.name,
            "birth_date": self.birth_date.isoformat(),
            "sex": self.sex,
            "mrn": self.mrn,
        }


def invent(rng: Random, number: int, age: int, diagnosed_on: date) -> Person:
    """Patient ``number`` (from 1), ``age`` years old at diagnosis."""
    clinic = CLINICS[number % len(CLINICS)]
    sex = rng.choice(("female", "male"))
    given = rng.choice(_WOMEN if sex == "female" else _MEN)
    return Person(
        ref=f"{clinic.prefix}-{number:04}",
        name=f"{given} {rng.choice(_FAMILIES)}",
        sex=sex,
        birth_date=Interval(age, "year").before(diagnosed_on) - timedelta(days=rng.randint(0, 364)),
        mrn=f"{rng.randint(1_000_000, 9_999_999)}",
        clinic=clinic,
        navigator=rng.choice(clinic.navigators),
    )

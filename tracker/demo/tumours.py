"""Invented tumours whose shares follow published ones, roughly: enough for a demonstration, not for research."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

GRADES = {"G1": 0.55, "G2": 0.35, "G3": 0.06, "NEC": 0.04}
"""Grade. Resected series have few G3 (36, 57 and 5 % in Scarpa 2017); with unresected and small tumours, more G1."""

SITES = {"pancreas": 0.6, "midgut": 0.22, "duodenum": 0.06, "stomach": 0.05, "hindgut": 0.04, "unknown": 0.03}
"""Primary site of a service led by its pancreatic clinic. In a whole population midgut leads (SEER, Dasari 2017)."""

METASTATIC = {"G1": 0.3, "G2": 0.45, "G3": 0.65, "NEC": 0.8}
"""Metastatic at diagnosis, about 40 % over all: registries give 40-60 % for the pancreas (Halfdanarson 2008), fewer
in recent years, and more with each grade."""

FUNCTIONAL = {"pancreas": 0.22, "midgut": 0.32, "duodenum": 0.3}
"""A hormone syndrome, about a fifth over all: 10-30 % of pancreatic tumours (ENETS, Falconi 2016); carcinoid syndrome
in 19 % of all and about a third of small-bowel tumours (SEER-Medicare, Halperin 2017)."""

SYNDROMES = {
    "pancreas": {
        "insulinoma": 0.48,
        "gastrinoma": 0.26,
        "glucagonoma": 0.08,
        "vipoma": 0.08,
        "somatostatinoma": 0.04,
        "acthoma": 0.03,
        "other": 0.03,
    },
    "midgut": {"carcinoid": 1.0},
    "duodenum": {"gastrinoma": 0.9, "somatostatinoma": 0.1},
}
"""Which syndrome: insulinoma before gastrinoma before the rare ones (ENETS, Falconi 2016)."""

SPREAD_BY_SYNDROME = {"insulinoma": 0.08, "gastrinoma": 0.5, "glucagonoma": 0.6, "vipoma": 0.6, "carcinoid": 0.9}
"""Metastatic by syndrome: under a tenth of insulinomas, over half of most others (ENETS, Falconi 2016); carcinoid
syndrome mostly comes with liver metastases."""

HEREDITARY = {"men1": 0.115, "vhl": 0.02, "not_assessed": 0.06, "none": 0.805}
"""Pancreas and duodenum: MEN1 in about a tenth, VHL in 1-2 % (Jensen 2008). Other sites have none here."""

HIGH_UPTAKE = {"G1": 0.9, "G2": 0.85, "G3": 0.55, "NEC": 0.15}
"""High receptor uptake: most well differentiated tumours, few poorly differentiated ones."""

SMALL_MM = 20
_MIDDLE_MM = 40  # AJCC 8 divides pancreatic T1, T2 and T3 at 2 and 4 cm
_KI67 = {"G1": (0.5, 2.9), "G2": (3, 20), "G3": (21, 55), "NEC": (40, 95)}
_INHERITED_AGES = (28, 58)
_AGES = (26, 84)


@dataclass(frozen=True, slots=True)
class Tumour:
    """What a patient's work-up will find."""

    site: str
    grade: str
    ki67_percent: float
    metastatic: bool
    syndrome: str
    hereditary: str
    size_mm: int
    uptake: str
    nodes: bool
    age: int

    @property
    def is_small_and_silent(self) -> bool:
        low_grade = self.grade in ("G1", "G2")
        return low_grade and self.syndrome == "none" and self.size_mm < SMALL_MM and not self.metastatic

    @property
    def needs_heart_screening(self) -> bool:
        return self.site == "midgut" or self.syndrome == "carcinoid"

    @property
    def t(self) -> str:
        """By size, as AJCC 8 has it for the pancreas; other sites borrow it."""
        return "1" if self.size_mm < SMALL_MM else "2" if self.size_mm <= _MIDDLE_MM else "3"

    @property
    def stage(self) -> str:
        if self.metastatic:
            return "IV"
        return "III" if self.nodes else "I" if self.t == "1" else "II"

    def staging(self) -> dict[str, Any]:
        return {
            "staging_system": "ajcc8",
            "t": self.t,
            "n": "1" if self.nodes else "0",
            "m": "1" if self.metastatic else "0",
            "stage": self.stage,
            "liver_metastases": self.metastatic,
        }


def share_out(rng: Random, number: int, shares: Mapping[str, float]) -> list[str]:
    """``number`` words in the given shares (largest remainders make up the number), shuffled."""
    whole = sum(shares.values())
    exact = {word: number * share / whole for word, share in shares.items()}
    dealt = [word for word, count in exact.items() for _ in range(int(count))]
    by_remainder = sorted(exact, key=lambda word: exact[word] % 1, reverse=True)
    dealt += by_remainder[: number - len(dealt)]
    rng.shuffle(dealt)
    return dealt


def invent(rng: Random, number: int) -> list[Tumour]:
    """The tumours of ``number`` patients."""
    pairs = zip(share_out(rng, number, SITES), share_out(rng, number, GRADES), strict=True)
    return [_tumour(rng, site, grade) for site, grade in pairs]


def one_of(rng: Random, shares: Mapping[str, float]) -> str:
    """A word drawn in the given shares."""
    return rng.choices(list(shares), list(shares.values()))[0]


def _tumour(rng: Random, site: str, grade: str) -> Tumour:
    syndrome = _syndrome(rng, site, grade)
    metastatic = rng.random() < SPREAD_BY_SYNDROME.get(syndrome, METASTATIC[grade])
    inherits = site in ("pancreas", "duodenum") and grade != "NEC"
    hereditary = one_of(rng, HEREDITARY) if inherits else "none"
    return Tumour(
        site=site,
        grade=grade,
        ki67_percent=round(rng.uniform(*_KI67[grade]), 1),
        metastatic=metastatic,
        syndrome=syndrome,
        hereditary=hereditary,
        size_mm=_size(rng, syndrome, metastatic),
        uptake="high" if rng.random() < HIGH_UPTAKE[grade] else rng.choice(("low", "none")),
        nodes=metastatic or rng.random() < METASTATIC[grade] / 2,
        age=round(rng.triangular(*(_INHERITED_AGES if hereditary in ("men1", "vhl") else _AGES))),
    )


def _syndrome(rng: Random, site: str, grade: str) -> str:
    if grade == "NEC" or rng.random() >= FUNCTIONAL.get(site, 0):
        return "none"
    return one_of(rng, SYNDROMES[site])


def _size(rng: Random, syndrome: str, metastatic: bool) -> int:
    """Largest diameter in mm: metastatic ones are large, insulinomas are found small."""
    if metastatic:
        return rng.randint(18, 90)
    if syndrome == "insulinoma":
        return rng.randint(8, 22)
    return round(rng.triangular(6, 75, 15))

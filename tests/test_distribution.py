"""What is installed, and what the documents promise of it."""

import importlib.metadata
import importlib.util
import json
import re
import sysconfig
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[1]
DISTRIBUTION = "net-case-tracker"
IMPORT_NAMES = ("workflows", "tracker", "web", "migrations")


def _editable_root(distribution: importlib.metadata.Distribution) -> Path | None:
    """The folder that an editable install points to; its metadata lists no file of it."""
    direct_url = json.loads(distribution.read_text("direct_url.json") or "{}")
    if not direct_url.get("dir_info", {}).get("editable"):
        return None
    return Path(unquote(urlsplit(direct_url["url"]).path))


def _distributions_that_provide(name: str) -> set[str]:
    """Distributions that install this import name: by their list of files, or as an editable folder."""
    listed = importlib.metadata.packages_distributions().get(name, [])
    editable = [
        distribution.name
        for distribution in importlib.metadata.distributions()
        if (root := _editable_root(distribution)) and (root / name).is_dir()
    ]
    return {re.sub(r"[-_.]+", "-", owner).lower() for owner in [*listed, *editable]}


@pytest.mark.parametrize("name", IMPORT_NAMES)
def test_import_name_belongs_to_this_distribution_alone(name: str):
    assert _distributions_that_provide(name) == {DISTRIBUTION}


@pytest.mark.parametrize("name", IMPORT_NAMES)
def test_import_name_is_not_shadowed_by_stray_files(name: str):
    site_packages = Path(sysconfig.get_path("purelib"))
    installed_from_here = (_editable_root(importlib.metadata.distribution(DISTRIBUTION)) or site_packages).resolve()
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert [Path(place).resolve().parent for place in spec.submodule_search_locations or []] == [installed_from_here]


def test_make_targets_named_in_the_readme_exist():
    readme, makefile = ROOT / "README.md", (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:`|^\s*(?:\$ )?)make ([a-z][a-z-]*)", readme.read_text(encoding="utf-8"), re.MULTILINE))
    assert {"run", "test"} <= named
    assert named - set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE)) == set()


def test_every_make_target_is_explained():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = set(re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)[1].split())
    assert set(re.findall(r"^([a-z-]+):.*## \S", makefile, re.MULTILINE)) == phony


@pytest.mark.parametrize("lock", ["bootstrap.txt", "run.txt", "oidc.txt", "dev.txt"])
def test_lock_has_hashes_and_names_no_host(lock: str):
    text = (ROOT / "requirements" / lock).read_text(encoding="utf-8")
    assert "://" not in text
    requirements = re.split(r"\n(?=\S)", text.strip())
    assert [line for line in requirements if "--hash=sha256:" not in line] == []


def test_run_lock_is_what_the_tests_ran_with():
    pins = {
        lock: set(re.findall(r"^\S+==\S+", (ROOT / "requirements" / lock).read_text(), re.MULTILINE))
        for lock in ("run.txt", "oidc.txt", "dev.txt")
    }
    assert pins["run.txt"] | pins["oidc.txt"] <= pins["dev.txt"]
    assert pins["run.txt"] <= pins["oidc.txt"]

"""A user's project: aurora_db installed from its wheel, its plug-in found by pytest alone."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from aurora_db.testing import POINTS

ROOT = Path(__file__).parents[2]
SAMPLE = Path(__file__).with_name("sample")
PAGE = ROOT / "docs" / "jobs" / "testing.md"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with what a user gets who installs this tree."""
    folder = tmp_path_factory.mktemp("site")
    code = "import hatchling.build, sys; print(hatchling.build.build_wheel(sys.argv[1]))"
    made = run([sys.executable, "-c", code, str(folder)], ROOT)
    with zipfile.ZipFile(folder / made.splitlines()[-1]) as wheel:
        wheel.extractall(folder)
    return folder


def run(command, folder, site=None, expected=0):
    """What a command prints."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {} if site is None else {"PYTHONPATH": str(site)}
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == expected, done.stdout + done.stderr
    return done.stdout


def pytest_in(folder, site, *arguments, expected=0):
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:asyncio",
        *arguments,
    ]
    return run(command, folder, site, expected)


@pytest.fixture
def project(tmp_path):
    """A copy of the sample, outside of this tree and its configuration."""
    for file in SAMPLE.glob("*.py"):
        (tmp_path / file.name).write_text(file.read_text())
    return tmp_path


def test_the_sample_s_tests_pass(project, site):
    """With fixtures, marker and crash points, and not a line that names the plug-in."""
    assert "9 passed" in pytest_in(project, site, "-W", "error", "--strict-markers")


def test_the_page_shows_the_sample():
    """What the page tells to write is what runs here."""
    text = PAGE.read_text()
    for name in ("shop.py", "conftest.py"):
        assert f"```python no-run\n# {name}\n{(SAMPLE / name).read_text()}```" in text, name
    tests = (SAMPLE / "test_shop.py").read_text()
    shown = text.split("```python no-run\n# test_shop.py\n", 1)[1].split("```", 1)[0]
    for part in shown.split("\n\n\n"):
        assert part.strip() in tests


def test_a_project_that_does_not_use_it_does_not_pay(tmp_path, site):
    """The plug-in is loaded, and nothing of the package is imported."""
    (tmp_path / "test_other.py").write_text(
        "import sys\n"
        "def test_nothing_is_there(pytestconfig):\n"
        "    assert pytestconfig.pluginmanager.has_plugin('aurora_db_pytest')\n"
        "    ours = [one for one in sys.modules if one.split('.')[0] in ('aurora_db', 'apsw', 'msgspec')]\n"
        "    assert ours == []\n"
    )
    assert "1 passed" in pytest_in(tmp_path, site)


def test_the_marker_and_the_fixtures_are_listed(tmp_path, site):
    """By `pytest --markers` and `pytest --fixtures`, with a word on each."""
    assert "@pytest.mark.aurora(jobs=" in pytest_in(tmp_path, site, "--markers")
    listed = pytest_in(tmp_path, site, "--fixtures")
    for name in (
        "aurora",
        "aurora_file",
        "aurora_async",
        "aurora_jobs",
        "aurora_options",
        "aurora_clock",
    ):
        assert f"\n{name} -- " in listed, name


def test_a_failing_expectation_shows_the_user_s_line(project, site):
    """The traceback ends in the test, and the message lists what is enqueued."""
    (project / "test_shop.py").write_text(
        "def test_it(aurora):\n"
        "    aurora.enqueue_job('receipt', {'customer': 'ada'})\n"
        "    aurora.jobs_testing.assert_enqueued('receipt', payload={'customer': 'bob'})\n"
    )
    printed = pytest_in(project, site, expected=1)
    assert "E       AssertionError: no such job is enqueued" in printed
    assert "<- payload.customer is 'ada'" in printed
    assert "test_shop.py:3: AssertionError" in printed
    assert "rehearsal.py" not in printed


def test_the_page_shows_what_an_expectation_says(aurora, aurora_jobs):
    """The message in the page is the one that a test prints."""
    testing = aurora.jobs_testing
    aurora_jobs.job("send")(lambda: None)
    aurora.enqueue_jobs("send", [1, 2, 3])
    testing.drain()
    aurora.enqueue_job(
        "send", {"to": "ada", "cc": ["eve"]}, queue="mail", delay=3600, tags=["news"]
    )
    with pytest.raises(AssertionError) as raised:
        testing.assert_enqueued("send", payload={"to": "eve"})
    assert f"```text\n{raised.value}\n```" in PAGE.read_text()


def test_the_page_has_every_crash_point():
    """With the words of the code."""
    rows = "".join(f"| `{point}` | {meaning} |\n" for point, meaning in POINTS.items())
    assert rows in PAGE.read_text()

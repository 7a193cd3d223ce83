"""How many tests a whole run has to execute: tests must not stop running without a word."""

import pytest

# Raise the first when tests come, and look twice where it has to be lowered.
LEAST_EXECUTED = 1_400
MOST_SKIPPED = 20  # on macOS, and where root cannot drop what root may do


def find_fault(config: pytest.Config) -> str:
    """What is wrong with the counts of a whole run; "" of a part (paths, -k, -m), or if nothing."""
    if hasattr(config, "workerinput"):  # one of several processes, which the first one counts
        return ""
    option = config.option
    if config.args != ["tests"] or option.keyword or option.markexpr or option.collectonly:
        return ""
    stats = config.pluginmanager.get_plugin("terminalreporter").stats
    executed = len(stats.get("passed", ())) + len(stats.get("failed", ()))
    skipped = len(stats.get("skipped", ()))
    if executed < LEAST_EXECUTED:
        return f"{executed} tests were executed, fewer than {LEAST_EXECUTED}"
    if skipped > MOST_SKIPPED:
        return f"{skipped} tests were skipped, more than {MOST_SKIPPED}"
    return ""


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A run with too few tests fails, although each of them has passed."""
    if find_fault(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """And says so at its end."""
    if fault := find_fault(terminalreporter.config):
        terminalreporter.write_line(f"{fault} (tests/executed.py)", red=True)

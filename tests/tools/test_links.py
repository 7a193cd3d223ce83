"""Links inside the course lead somewhere; those that lead elsewhere are found to be asked."""

from pathlib import Path

from tools.links import find_dead_links, find_outside_links


def test_no_link_inside_the_course_is_dead() -> None:
    assert find_dead_links() == []


def test_a_dead_file_and_a_dead_anchor_are_found(tmp_path: Path) -> None:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "README.md").write_text(
        "# Here\n[a](gone.md) [b](#there) [c](notebooks/a.md#two-words) [d](notebooks/a.md#no)\n"
        "```\n[code](gone_too.md)\n```\n[e](https://example.org/a_(b))"
    )
    (tmp_path / "notebooks" / "a.md").write_text("# Two words\n")
    assert find_dead_links(tmp_path) == [
        "README.md: there is no gone.md",
        "README.md: README.md has no heading #there",
        "README.md: a.md has no heading #no",
    ]
    assert find_outside_links(tmp_path) == {"https://example.org/a_(b)": ["README.md"]}

"""`doc2x formats`."""

from doc2x_sdk.formats.registry import Formats
from tests.cli.command import doc2x


def test_it_lists_what_to_takes():
    done = doc2x("formats")
    assert done.code == 0
    assert {line.split("\t")[0] for line in done.lines} == set(Formats().names)


def test_json_tells_who_makes_each():
    rows = {row["name"]: row for row in doc2x("formats", "--json").json}
    assert (rows["docx"]["made_by"], rows["docx"]["suffix"], rows["docx"]["needs"]) == ("service", ".docx", None)
    assert (rows["txt"]["made_by"], rows["txt"]["needs"]) == ("doc2x-sdk", "parse")
    assert all(row["about"] for row in rows.values())

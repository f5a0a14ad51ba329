"""The pages that a run's remarks send a reader to have the sections that they name."""

import re
from pathlib import Path

from ganlib.metrics import watch

ROOT = Path(__file__).parents[1]


def test_every_remark_names_a_chapter_and_a_section_of_it():
    source = re.sub(r"[\"']\n\s+f?[\"']", "", Path(watch.__file__).read_text(encoding="utf-8"))  # strings joined
    sent = re.findall(r'The chapter ([a-z0-9-]+) explains it under "([^"]+)"', source)
    assert len(sent) == source.count("explains it under") == 5
    for chapter, section in sent:
        page = (ROOT / "book" / f"{chapter}.md").read_text(encoding="utf-8")
        titles = [title.replace("$", "") for title in re.findall(r"^#+ (.*)$", page, re.MULTILINE)]
        assert section in titles

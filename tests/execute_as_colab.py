"""Execute a notebook with the packages of the environment that runs this script: IN.ipynb FOLDER OUT.ipynb.

A kernel of its own, in FOLDER. Written for what Colab has: nbclient 0.10, jupyter_client 7, ipykernel 6.
"""

import sys

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

source, folder, target = sys.argv[1:]
notebook = nbformat.read(source, as_version=4)
client = NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": folder}})
try:
    client.execute()
except CellExecutionError as error:
    print(error, file=sys.stderr)
    sys.exit(1)
finally:
    nbformat.write(notebook, target)

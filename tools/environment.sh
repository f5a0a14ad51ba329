#!/bin/sh
# Make or refresh the project's environment:  sh tools/environment.sh [.venv]
#
# A stamp, written last, holds what the environment was made from: while that is unchanged nothing is done. A marker,
# written first, says that an installation is under way: found by a later run, it means that one was cut off, and the
# environment is made anew, because pip takes a half-unpacked package for an installed one.
# Every failure is one line on stderr that says what to do. PYTHON=/path/to/python3 chooses the interpreter.
set -u
cd "$(dirname "$0")/.." || exit 1
venv=${1:-.venv}
stamp=$venv/.complete
marker=$venv/.installing

fail() {
    echo "error: $*" >&2
    exit 1
}

# "3.12" for a Python that runs; nothing for one that does not (a pyenv shim can exist and yet not run).
version() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

# Debian packages these two apart from Python; without them `python -m venv` cannot work.
has_venv() {
    "$1" -c 'import venv, ensurepip' >/dev/null 2>&1
}

# Set $python to the first candidate that will do: a tested version, or else a newer one with a warning.
choose_python() {
    python='' old='' bare='' newer=''
    for candidate; do
        case $(version "$candidate") in
        '') ;;
        3.11 | 3.12 | 3.13) if has_venv "$candidate"; then python=$candidate && return; else bare=$candidate; fi ;;
        3.1[4-9] | 3.[2-9][0-9] | [4-9].*) if has_venv "$candidate"; then newer=$candidate; else bare=$candidate; fi ;;
        *) old=$candidate ;;
        esac
    done
    if [ -n "$newer" ]; then
        python=$newer
        echo "warning: $newer is Python $(version "$newer"); the book is tested with Python 3.11 to 3.13" >&2
    elif [ -n "$bare" ]; then
        fail "$bare has no venv module: install it (Debian, Ubuntu: apt install python$(version "$bare")-venv)" \
            "or set PYTHON to another Python 3.11 to 3.13"
    elif [ -n "$old" ]; then
        fail "$old is Python $(version "$old"), too old: install Python 3.11 to 3.13, or set PYTHON to one"
    elif [ -n "${PYTHON:-}" ]; then
        fail "PYTHON=$PYTHON does not run: set PYTHON to the path of a Python 3.11 to 3.13"
    else
        fail "no Python found: install Python 3.11 to 3.13 (python.org, or your system's packages), or set PYTHON to one"
    fi
}

# Say in one line what a failed step ($1) that wrote $2 to stderr means for whoever ran it. The space left is looked at
# too: on a full disk `python -m venv` says only that a command of its own failed.
explain() {
    left=$(df -Pk . | awk 'NR == 2 {print $4}')
    [ "${left:-99999}" -ge 16384 ] || set -- "$1" "No space left"
    case $2 in
    *"No space left"* | *"Errno 28"* | *"uota exceeded"*)
        fail "$1: the disk is full; free some space (df -h . ${TMPDIR:-/tmp}) and run the same command again" ;;
    *"onnection broken"* | *"ConnectionError"* | *"ConnectTimeout"* | *"timed out"* | *"name resolution"* | \
        *"etwork is unreachable"* | *"ProxyError"* | *"SSLError"* | *"from versions: none"*)
        fail "$1: the package index cannot be reached; check the network (and the proxy) and run the same command again" ;;
    *)
        last=$(printf '%s\n' "$2" | grep -i '^error' | tail -n 1)
        fail "$1: ${last:-$(printf '%s\n' "$2" | grep . | tail -n 1)}" ;;
    esac
}

# Run a step, its stdout on the terminal, its stderr kept for explain (in memory: the disk may be full).
step() {
    doing=$1
    shift
    { errors=$("$@" 2>&1 >&3 3>&-); } 3>&1 || explain "$doing" "$errors"
}

begin() {
    { mkdir -p "$venv" && : >"$marker"; } 2>/dev/null || fail "cannot write $venv: is the disk full, or the folder read-only?"
    rm -f "$stamp"
}

# The path counts too: a virtual environment cannot be moved.
wanted=$(pwd && cat pyproject.toml constraints.txt pins.sha256 tools/environment.sh tools/pins.py) || fail "this is not a complete checkout"

usable=''
if [ -e "$venv" ] && [ ! -e "$marker" ]; then
    [ -e "$venv/pyvenv.cfg" ] || fail "$venv is not a virtual environment: move it away"
    have=$(version "$venv/bin/python")
    if [ -n "$have" ] && { [ -z "${PYTHON:-}" ] || [ "$have" = "$(version "$PYTHON")" ]; }; then
        [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && exit 0
        # Sound, but made from something else: bring it up to date where it stands.
        case $have in 2.* | 3.? | 3.10) ;; *) "$venv/bin/python" -c 'import pip' 2>/dev/null && usable=yes ;; esac
    fi
fi
if [ -n "$usable" ]; then
    begin
else
    if [ -n "${PYTHON:-}" ]; then
        choose_python "$PYTHON"
    else
        choose_python python3.13 python3.12 python3.11 python3 python python3.14
    fi
    echo "Making $venv with $python (Python $(version "$python"))"
    rm -rf "$venv"
    begin
    step "making $venv" "$python" -m venv "$venv"
fi

echo "Installing the pinned dependencies into $venv (the first time this takes some minutes)"
# setuptools first and no build isolation, so that what builds ganlib is pinned too.
report=$venv/.report.json
for what in setuptools '-e .[dev]'; do
    # shellcheck disable=SC2086  # '-e .[dev]' is two words
    # Most of what is installed is never imported: what is, Python compiles then.
    step "installing into $venv" "$venv/bin/python" -m pip install --disable-pip-version-check --no-compile --report "$report" \
        --no-build-isolation -c constraints.txt $what
    # -S: nothing that was installed runs before its files are known to be the pinned ones.
    step "checking what pip installed" "$venv/bin/python" -I -S tools/pins.py "$report"
done
printf '%s\n' "$wanted" >"$stamp" 2>/dev/null || fail "cannot write $stamp: is the disk full?"
rm -f "$marker"

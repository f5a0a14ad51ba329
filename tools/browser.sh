#!/bin/sh
# Let the browser tests have a Chromium:  sh tools/browser.sh [.venv]
#
# Nothing is done where there is one already. Else Debian's is installed, where this user may install packages, or
# else Playwright's own. Where neither can be had one line says so: the browser tests are then skipped, the others run.
set -u
cd "$(dirname "$0")/.." || exit 1
python=${1:-.venv}/bin/python

# Print the path of a Chromium that runs; tests/browser/pages.py looks for the same, in the same order. A name on PATH is
# not enough: Ubuntu's chromium-browser is a script that only says to install something else.
find_browser() {
    for name in ${GANLIB_CHROMIUM:+"$GANLIB_CHROMIUM"} chromium chromium-browser google-chrome "$(own_browser)"; do
        path=$(command -v "$name" 2>/dev/null) && "$path" --version >/dev/null 2>&1 && echo "$path" && return
    done
    return 1
}

own_browser() {
    "$python" -c 'from playwright.sync_api import sync_playwright
with sync_playwright() as playwright: print(playwright.chromium.executable_path)' 2>/dev/null
}

# The prefix under which apt-get may install, in $sudo; fails where this user may not, or there is no apt-get.
may_install() {
    sudo=''
    command -v apt-get >/dev/null 2>&1 || return 1
    [ "$(id -u)" = 0 ] && return
    sudo='sudo -n'
    sudo -n true 2>/dev/null
}

apt_install() {
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium >/dev/null 2>&1
}

if path=$(find_browser); then
    echo "The browser tests will use $path"
    exit 0
fi
if may_install; then
    echo "Installing Chromium with apt-get"
    # A fresh machine has no lists of packages yet.
    apt_install || { $sudo apt-get update >/dev/null 2>&1 && apt_install; }
fi
if ! path=$(find_browser); then
    echo "Installing Playwright's Chromium"
    "$python" -m playwright install chromium >/dev/null 2>&1
fi
if path=$(find_browser); then
    echo "The browser tests will use $path"
else
    echo "warning: no browser could be installed (no network, or not allowed to): the browser tests will be skipped;" \
        "install Chromium, or set GANLIB_CHROMIUM to the path of one" >&2
fi

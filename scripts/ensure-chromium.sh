#!/bin/sh
# The browser tests drive Debian's Chromium, which browser drivers from PyPI can use as it is.
set -eu
if [ -x /usr/bin/chromium ]; then
    exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "The browser tests need Chromium at /usr/bin/chromium. Install it, for example: sudo apt-get install chromium" >&2
    exit 1
fi
echo "Installing Chromium for the browser tests ..."
DEBIAN_FRONTEND=noninteractive
export DEBIAN_FRONTEND
apt-get update --quiet=2
apt-get install --quiet=2 --yes --no-install-recommends chromium

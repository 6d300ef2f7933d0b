#!/bin/sh
# Makes a virtual environment with the first Python that fits.
#
#   make-venv.sh FOLDER [PYTHON]
#
# A command that exists is not yet a Python that runs (version managers leave shims for versions that are not active),
# so each candidate has to prove itself.
set -eu

folder=$1
asked=${2:-}

fits() {
    "$1" -c '
import sys, venv, ensurepip
sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
' >/dev/null 2>&1 </dev/null
}

if [ -n "$asked" ]; then
    candidates=$asked
else
    candidates="python3.13 python3.12 python3.11 python3 python"
fi

for candidate in $candidates; do
    if fits "$candidate"; then
        echo "Making $folder with $("$candidate" --version) ($(command -v "$candidate"))"
        rm -rf "$folder"
        exec "$candidate" -m venv "$folder"
    fi
done

echo "No Python that fits was found: tried $candidates." >&2
echo "Needed is Python 3.11, 3.12 or 3.13 with its venv and ensurepip modules (on Debian and Ubuntu the package" >&2
echo "python3-venv); name one with: make PYTHON=/path/to/python3.12 …" >&2
exit 1

#!/bin/sh
# Make .venv anew, and install a file of requirements into it: environment.sh requirements.txt
#
# With the Python that PYTHON names, else the first here that fits, else with 3.11, which uv finds
# or downloads. The user's uv is used wherever there is one, for it installs faster; where nothing
# else helps it goes into .venv/uv. What is missing is one line; .venv/log has what pip and uv say,
# and marks a .venv as one that was made here: no other is touched.
set -u
requirements=$1
names='python3.11 python3.10 python3.12 python3.13 python3'
fits='import os, sys; print(os.path.realpath(sys.executable))
sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))'
version='import platform; print("is Python", platform.python_version())'
libraries='import ctypes, sys
for name in ("libgomp.so.1", "libquadmath.so.0"):
    try:
        ctypes.CDLL(name)
    except OSError:
        sys.exit(name + " is missing, which MXNet needs: install it "
                 "(Debian, Ubuntu: apt install libgomp1 libquadmath0)")'
mend='(Debian, Ubuntu: apt install python3-venv), or uv'

fail() {
    echo "error: $1" >&2
    exit 2
}

is_complete() {  # Debian keeps ensurepip in a package of its own
    "$1" -c 'import ensurepip, venv' 2> /dev/null
}

with_uv() {
    [ "$uv" ] &&
        "$uv" venv --quiet --seed --allow-existing --python "${python:-3.11}" .venv &&
        .venv/bin/python -c "$libraries" &&
        "$uv" pip install --quiet --no-deps --compile-bytecode --python .venv/bin/python \
            --requirement "$requirements"
}

with_pip() {
    is_complete "$python" && "$python" -m venv .venv &&
        .venv/bin/python -m pip install --quiet --no-deps --requirement "$requirements"
}

[ "$(uname -sm)" = 'Linux x86_64' ] ||
    fail "this project needs Linux on x86-64, for MXNet 1.9.1; this is $(uname -sm)"

python=
if [ "${PYTHON:-}" ]; then
    python=$("$PYTHON" -c "$fits" 2> /dev/null) ||
        fail "this project needs Python 3.10 to 3.13; $PYTHON $("$PYTHON" -c "$version" \
            2> /dev/null || echo 'cannot be run') (make PYTHON=... names another)"
else
    for name in $names; do
        found=$("$name" -c "$fits" 2> /dev/null) || continue
        python=${python:-$found}
        if is_complete "$found"; then
            python=$found
            break
        fi
    done
fi

# Where there is no Python yet, with_uv looks for them
if any=${python:-$(command -v python3)}; then
    missing=$("$any" -c "$libraries" 2>&1) || fail "$(echo "$missing" | tail -n 1)"
fi

if [ -e .venv ] && ! [ -f .venv/log ] && ! rmdir .venv 2> /dev/null; then
    fail ".venv is there and not of make's making: move it away, or use it without make (README)"
fi
rm -rf .venv && mkdir .venv && : > .venv/log || exit 2
echo "installing $requirements into .venv, which takes a minute or more .."
uv=$(command -v uv)
if ! [ -w "${HOME:-/nonexistent}" ]; then
    export UV_NO_CACHE=1 UV_PYTHON_INSTALL_DIR="$PWD/.venv/python"
fi
if [ -z "$uv" ] && ! is_complete "$python"; then
    python3 -m venv .venv/uv && .venv/uv/bin/python -m pip install --quiet uv &&
        uv=.venv/uv/bin/uv
fi > .venv/log 2>&1

if with_uv || with_pip; then
    exit
fi >> .venv/log 2>&1
[ -x .venv/bin/python ] &&
    fail "$requirements could not be installed: $(tail -n 1 .venv/log) (more in .venv/log)"
[ "$python" ] && fail "$python cannot make environments: install its venv $mend"
fail "no Python 3.10 to 3.13 is here, nor could one be downloaded: install one with its venv $mend"

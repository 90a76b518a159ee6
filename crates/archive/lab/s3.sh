#!/bin/sh
# A server that speaks S3 on loopback: moto's, from the Python registry. Needs python3 with venv.
#   s3.sh up DIR     installs it below DIR, starts it, and prints its URL: STILLPOINT_S3 for `--test s3`
#   s3.sh down DIR   ends it
set -eu
command=$1 dir=$2
here=$(cd "$(dirname "$0")" && pwd)

case $command in
up)
    mkdir -p "$dir"
    if [ ! -x "$dir/venv/bin/python" ]; then
        python3 -m venv "$dir/venv"
        "$dir/venv/bin/pip" install --quiet --disable-pip-version-check 'moto[server]==5.2.5'
    fi
    # Whoever reads it waits until the server is there, or has failed.
    rm -f "$dir/url"
    mkfifo "$dir/url"
    "$dir/venv/bin/python" "$here/s3.py" "$dir/url" >"$dir/log" 2>&1 &
    pid=$!
    echo "$pid" >"$dir/pid"
    url=$(cat "$dir/url")
    [ -n "$url" ] || { cat "$dir/log" >&2; exit 1; }
    echo "$url"
    ;;
down)
    [ ! -f "$dir/pid" ] || kill "$(cat "$dir/pid")" 2>/dev/null || true
    rm -f "$dir/pid"
    ;;
*)
    echo "usage: $0 up|down DIR" >&2
    exit 2
    ;;
esac

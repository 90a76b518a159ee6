#!/usr/bin/env bash
# test.sh - all tests that need a real cloud: starts it where it is not up, and ends it if it did.
# As root, on Debian 12. OSLAB_DIR says where its state is kept between runs (see up.sh).
set -euo pipefail
cd "$(dirname "$0")"
export OSLAB_DIR=${OSLAB_DIR:-/var/tmp/oslab}
if [ ! -e "$OSLAB_DIR/pid/nova-compute.pid" ]; then
    trap './down.sh' EXIT
fi
./up.sh
# With the features of the whole workspace, as its other tests: nothing is built anew for these.
# Most of their time they wait for the cloud, so several run at once.
STILLPOINT_OPENSTACK_LAB=$OSLAB_DIR cargo test --workspace --all-features --test cloud \
    -- --ignored --nocapture --test-threads=3 "$@"

#!/bin/sh
# Loads the far attachment circuit: the box decapsulates what comes of it. --interface is the customer's side
# of the far end, or an l2tpethN of a Linux peer.
exec "$(dirname "$0")/pktgen.sh" --size 128 "$@"

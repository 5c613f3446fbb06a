#!/bin/sh
# Loads the near attachment circuit: the box encapsulates. --interface is the customer's side of it.
exec "$(dirname "$0")/pktgen.sh" --size 1024 "$@"

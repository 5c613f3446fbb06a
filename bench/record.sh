#!/usr/bin/env bash
# Measures everything and keeps the text in bench/results, one file a command, headed by the command
# and the date. Root, a quiet machine, and some twenty minutes are needed.
#
#   bench/record.sh            everything
#   bench/record.sh core ndr   some
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
go build -o "$work/xwire" ./cmd/xwire

# record NAME ARGS...: runs `xwire bench ARGS` and keeps what it prints.
record() {
  local name=$1; shift
  echo "== xwire bench $*" >&2
  "$work/xwire" bench "$@" >"$work/out"
  { echo "# xwire bench $*"; echo "# $(date -u +%Y-%m-%d), $("$work/xwire" version)"; cat "$work/out"; } >"bench/results/$name.txt"
}

for what in "${@:-core veth vm busy-poll start reload ndr}"; do
  for one in $what; do
    case $one in
      core) record core core ;;
      veth)
        record veth-ip4 veth
        record veth-udp6 veth --encap udp6 --size 64,imix --case encap,decap
        record veth-asavie veth --size 64,1518 --case asavie-copy,asavie-budget --back-to-back=false ;;
      vm) record veth-vm veth --vm --size 64,512,1518 --case encap,decap,l2tpeth-encap,l2tpeth-decap --back-to-back=false ;;
      start) record start start ;;
      reload) record reload reload ;;
      busy-poll)
        record busy-poll-off veth --size 64,512 --case encap,decap --rounds 9 --back-to-back=false
        record busy-poll-on veth --size 64,512 --case encap,decap --rounds 9 --back-to-back=false --busy-poll ;;
      ndr) record ndr ndr ;;
      *) echo "record.sh: what is $one? core, veth, vm, busy-poll, start, reload or ndr" >&2; exit 2 ;;
    esac
  done
done

# The README's table and picture are of these.
go test -run TestREADMEFigures -update .

#!/bin/sh
# A shared library exports what the public headers declare (vindex_*, version VINDEX_0) and what the
# companion needs (vx_*, version VINDEX_PRIVATE), nothing else. The versions' own names are of type A.
# usage: exports.sh <nm> <library>...
nm=$1
shift
failed=0
for library in "$@"; do
    symbols=$("$nm" -D --defined-only --with-symbol-versions "$library" | awk '$2 != "A" {print $3}')
    foreign=$(echo "$symbols" | grep -v -e '^vindex_[a-z0-9_]*@@VINDEX_0$' \
        -e '^vx_[a-z0-9_]*@@VINDEX_PRIVATE$')
    if [ -n "$foreign" ]; then
        echo "$library also exports:" $foreign >&2
        failed=1
    fi
    if ! echo "$symbols" | grep -q '^vindex_.*@@VINDEX_0$'; then
        echo "$library exports no vindex_ function" >&2
        failed=1
    fi
done
exit $failed

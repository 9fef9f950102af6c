#!/bin/sh
# Each public header compiles alone, as C and as C++, without a warning; and they agree with the build
# on the version.  usage: headers.sh <include folder> <version> <C compiler> [<C++ compiler>]
include=$1 version=$2 cc=$3 cxx=$4
strict='-Wall -Wextra -Wpedantic -Werror -fsyntax-only'
failed=0 count=0
for path in "$include"/vindex/*.h; do
    header="vindex/${path##*/}"
    count=$((count + 1))
    # Compilers come as commands with arguments: no quotes.
    printf '#include <%s>\n#include <%s>\n' "$header" "$header" |
        $cc -x c -std=c11 $strict -I "$include" - || failed=1
    [ -z "$cxx" ] || printf '#include <%s>\n#include <%s>\n' "$header" "$header" |
        $cxx -x c++ -std=c++17 $strict -I "$include" - || failed=1
done
found=$(printf '#include <vindex/types.h>\nVINDEX_VERSION_MAJOR.VINDEX_VERSION_MINOR.VINDEX_VERSION_PATCH\n' |
    $cc -E -P -x c -I "$include" - | tail -n 1 | tr -d ' ')
if [ "$found" != "$version" ]; then
    echo "the headers say version $found, the build $version" >&2
    failed=1
fi
if [ "$count" -lt 5 ]; then
    echo "only $count headers in $include" >&2
    failed=1
fi
exit $failed

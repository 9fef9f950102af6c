# Sourced by the other tools: installs the Debian packages that are missing. Where all of them are
# there already, neither root nor the network is needed.

build_packages=(gcc libc6-dev g++ meson ninja-build pkg-config python3
    libxxhash-dev check libjansson-dev libpopt-dev libzip-dev)

# The packages among the arguments that are not installed, one per line.
missing_packages() {
    local package
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
            echo "$package"
    done
}

# Runs a command as root; fails where that cannot be.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "this needs root: $*" >&2
        return 1
    fi
}

# Installs those of the arguments that are missing.
need_packages() {
    if ! command -v dpkg-query >/dev/null; then
        echo "not a Debian system: make sure that these are installed: $*" >&2
        return 0
    fi
    local missing
    mapfile -t missing < <(missing_packages "$@")
    [ "${#missing[@]}" = 0 ] && return 0
    echo "installing ${missing[*]}" >&2
    as_root apt-get update -qq &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            "${missing[@]}" >/dev/null
}

# Configures a build folder once and builds it with the cores there are.
build_in() {
    local folder=$1
    shift
    [ -f "$folder/build.ninja" ] || meson setup "$folder" "$@"
    ninja -C "$folder" -j"$(nproc)"
}

# Sourced by the other tools: installs the Debian packages that are missing. Where all of them are
# there already, neither root nor the network is needed.

program_packages=(gcc libc6-dev meson ninja-build pkg-config libxxhash-dev libopenblas-dev
    libjansson-dev libpopt-dev libzip-dev libhdf5-dev)
build_packages=("${program_packages[@]}" g++ check python3)

# The packages among the arguments that are not installed, one per line. One that is there for
# another architecture only is missing, unless the argument asks for that one (name:arm64).
missing_packages() {
    local package native
    native=$(dpkg --print-architecture)
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status} ${Architecture}\n' "$package" 2>/dev/null |
            grep -qE "^installed (${native}|all|${package#*:})\$" || echo "$package"
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

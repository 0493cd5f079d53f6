#!/bin/sh
# Fill FOLDER with a root file system. Run it in a mount namespace of its own: it leaves its mounts behind.
#   roots.sh debian|mysql FOLDER
#   roots.sh docker FOLDER ROOT.TAR      on the tar that `debian` made
set -eu
kind=$1
folder=$2
base=${3:-}
root=$folder/root
log=$folder/log
bundle=/etc/ssl/certs/ca-certificates.crt
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

quietly() {
    if ! "$@" >>"$log" 2>&1; then
        tail -n 40 "$log" >&2
        echo "making the $kind root file system failed at: $*" >&2
        exit 1
    fi
}

# Mirror and proxy are this host's own.
mirror() {
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -n 1
}

bootstrap() {
    quietly apt-get update
    from=$(mirror)
    if [ -z "$from" ]; then
        echo "no Debian mirror among this host's apt sources: add one to /etc/apt/sources.list" >&2
        exit 1
    fi
    eval "$(apt-config shell http_proxy Acquire::http::Proxy https_proxy Acquire::https::Proxy)"
    [ -z "${http_proxy:-}" ] || export http_proxy
    [ -z "${https_proxy:-}" ] || export https_proxy
    quietly debootstrap --variant=minbase "$1" "$root" "$from"
    apt-config dump | grep -E '^Acquire::(https?::|Check-|Retries)' >"$root/etc/apt/apt.conf.d/00host" || true
    mkdir -p "$root/etc/ssl/certs"
    [ ! -e "$bundle" ] || cp -L "$bundle" "$root$bundle"
}

clean() {
    umount -l "$root/proc" "$root/dev" 2>/dev/null || true
    rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/*.log "$root/etc/machine-id" \
        "$root/etc/resolv.conf" "$root/etc/hostname"
}

debian() {
    bootstrap trixie
    clean
    quietly tar --numeric-owner --one-file-system --sort=name -C "$root" -cf "$folder/root.tar" .
    rm -rf --one-file-system "$root"
}

# Packages of the file system's own release, without starting what they bring.
add_packages() {
    mount -t proc proc "$root/proc"
    mount --bind /dev "$root/dev"
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
    quietly chroot "$root" apt-get -o Acquire::Check-Valid-Until=false update
    quietly chroot "$root" apt-get install -y --no-install-recommends "$@"
}

mysql() {
    bootstrap sid
    quietly groupadd -R "$root" --system --gid 999 mysql
    quietly useradd -R "$root" --system --uid 999 --gid 999 --no-create-home --shell /usr/sbin/nologin mysql
    add_packages mysql-server-core mysql-client-core
    mkdir -p "$root/pier" "$root/var/lib/mysql-files"
    chown 999:999 "$root/pier" "$root/var/lib/mysql-files"
    clean
}

# The client runs outside, where the files are that it is told of, with the libraries it was built for.
docker() {
    mkdir "$root"
    quietly tar --numeric-owner -C "$root" -xf "$base"
    [ ! -e /etc/resolv.conf ] || cp -L /etc/resolv.conf "$root/etc/resolv.conf"
    add_packages docker.io docker-cli iptables
    mkdir -p "$root/pier" "$root/etc/docker"
    touch "$root/etc/hosts"
    clean
    loader=$(cd "$root" && echo usr/lib/*/ld-linux-*.so.*)
    cat >"$folder/docker" <<CLIENT
#!/bin/sh
root=\${0%/*}/root
exec "\$root/$loader" --library-path "\$root/${loader%/*}" "\$root/usr/bin/docker" "\$@"
CLIENT
    chmod 755 "$folder/docker"
}

"$kind"

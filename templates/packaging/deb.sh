#!/bin/sh
# Makes a Debian package of a program that was built: templates/packaging/deb.sh BINARY DIRECTORY
#
# The package holds the program, manual pages, completions and documents. It needs dpkg-deb, and prints the path of what it made.
set -eu

BINARY=${1:?the program} OUT=${2:?the directory for the package}
HERE=$(cd "$(dirname "$0")" && pwd)
TOP=$(cd "$HERE/../.." && pwd)
fail() { echo "deb.sh: $*" >&2; exit 1; }
case $BINARY in */*) ;; *) BINARY=./$BINARY ;; esac
[ -f "$BINARY" ] && [ -x "$BINARY" ] || fail "'$BINARY' is no program"
[ -d "$OUT" ] || fail "'$OUT' is no directory"
VERSION=$("$BINARY" --version | sed -n 's/^.* //p')
[ -n "$VERSION" ] || fail "'$BINARY' says no version"
ARCHITECTURE=$(dpkg --print-architecture)
# The newest symbol of the C library that the program asks for.
LIBC=$(grep -ao 'GLIBC_2\.[0-9]*' "$BINARY" | sort -uV | tail -n 1 | sed 's/GLIBC_//')

STAGE=$(mktemp -d)
trap 'rm -rf "$STAGE"' EXIT
chmod 755 "$STAGE"
DESTDIR=$STAGE "$HERE/install.sh" --prefix /usr --binary "$BINARY" >/dev/null
# dpkg has a list of its own.
rm -r "$STAGE/usr/share/git-vault"
find "$STAGE/usr/share/man" -name '*.1' -exec gzip -9n {} +
mkdir -p "$STAGE/usr/share/doc/git-vault" "$STAGE/DEBIAN"
# Debian's zsh looks here.
mkdir -p "$STAGE/usr/share/zsh/vendor-completions"
mv "$STAGE/usr/share/zsh/site-functions/_git-vault" "$STAGE/usr/share/zsh/vendor-completions/"
rmdir "$STAGE/usr/share/zsh/site-functions"
cp "$TOP/README.md" "$TOP/RUNBOOK.md" "$STAGE/usr/share/doc/git-vault/"
cp "$TOP/LICENSE" "$STAGE/usr/share/doc/git-vault/copyright"
gzip -9nc "$TOP/CHANGELOG.md" >"$STAGE/usr/share/doc/git-vault/changelog.gz"
find "$STAGE/usr" -type d -exec chmod 755 {} +
find "$STAGE/usr" -type f ! -path '*/bin/*' -exec chmod 644 {} +

cat >"$STAGE/DEBIAN/control" <<CONTROL
Package: git-vault
Version: $VERSION
Architecture: $ARCHITECTURE
Maintainer: git-vault maintainers <git-vault@localhost>
Installed-Size: $(du -sk "$STAGE/usr" | cut -f 1)
Depends: libc6 (>= ${LIBC:-2.31}), libgcc-s1
Recommends: git
Section: vcs
Priority: optional
Description: signed snapshots of the work that git does not keep
 git vault captures a whole git workspace - what is in the working tree, what
 is staged, untracked files, stashes, reflogs, hooks, operations in progress -
 into a vault outside the repository, and gives it back exactly, into a fresh
 directory.
CONTROL
(cd "$STAGE" && find usr -type f -exec md5sum {} + | sort -k 2) >"$STAGE/DEBIAN/md5sums"
chmod 644 "$STAGE/DEBIAN/control" "$STAGE/DEBIAN/md5sums"
PACKAGE=$OUT/git-vault_${VERSION}_$ARCHITECTURE.deb
dpkg-deb --root-owner-group --build "$STAGE" "$PACKAGE" >/dev/null
echo "$PACKAGE"

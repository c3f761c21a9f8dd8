#!/bin/sh
# Installs git-vault for one user or for all: the program, manual pages, and completions for bash, zsh and fish.
#
#     templates/packaging/install.sh [--prefix DIR] [--binary FILE]     builds with cargo, unless a program is given
#     templates/packaging/install.sh --uninstall [--prefix DIR]
#
# DIR is ~/.local if none is given. What was installed is listed in DIR/share/git-vault/installed; --uninstall removes that, and nothing else.
# DESTDIR, if set, stands before every path that is written, for those who make packages.
set -eu
# What is installed for all must be readable by all.
umask 022

PREFIX=${PREFIX:-$HOME/.local} BINARY='' UNINSTALL=''
fail() { echo "install.sh: $*" >&2; exit 1; }
while [ $# -gt 0 ]; do
  case $1 in
    --prefix) PREFIX=${2:?a directory}; shift 2 ;;
    --binary) BINARY=${2:?a file}; shift 2 ;;
    --uninstall) UNINSTALL=1; shift ;;
    *) sed -n '2,8p' "$0" >&2; exit 2 ;;
  esac
done
case $PREFIX in
  *[!A-Za-z0-9/._+@=,-]*) fail "--prefix takes a path of letters, digits and /._+@=,- only: '$PREFIX'" ;;
  /*) ;;
  *) fail "--prefix takes an absolute path" ;;
esac
ROOT=${DESTDIR:-}$PREFIX
LIST=$ROOT/share/git-vault/installed

if [ -f "$LIST" ]; then
  while IFS= read -r name; do
    # Every line is a path below the prefix.
    case $name in
      '' | /* | *..*) fail "$LIST was changed: '$name'; nothing was changed" ;;
    esac
  done <"$LIST"
fi

if [ -n "$UNINSTALL" ]; then
  [ -f "$LIST" ] || fail "nothing was installed there: $LIST is missing"
  while IFS= read -r name; do
    rm -f -- "$ROOT/$name"
  done <"$LIST"
  rm -f -- "$LIST"
  rmdir "$ROOT/share/git-vault" 2>/dev/null || :
  echo "removed git-vault from $PREFIX; vaults, keys and settings are where they were"
  exit 0
fi

if [ -z "$BINARY" ]; then
  top=$(cd "$(dirname "$0")/../.." && pwd)
  command -v cargo >/dev/null || fail "cargo is not on the path: https://www.rust-lang.org/tools/install"
  cargo build --release --locked --manifest-path "$top/Cargo.toml"
  BINARY=${CARGO_TARGET_DIR:-$top/target}/release/git-vault
fi
[ -x "$BINARY" ] || fail "'$BINARY' is no program"

# All is made before anything is installed.
STAGE=$(cd "$(mktemp -d)" && pwd -P)
trap 'rm -rf "$STAGE"' EXIT
mkdir -p "$STAGE/bin" "$STAGE/share/man/man1" "$STAGE/share/bash-completion/completions" \
  "$STAGE/share/zsh/site-functions" "$STAGE/share/fish/vendor_completions.d"
cp "$BINARY" "$STAGE/bin/git-vault"
chmod 755 "$STAGE/bin/git-vault"
"$STAGE/bin/git-vault" --quiet man "$STAGE/share/man/man1"
completions() { # SHELL FILE: the script names the program where it will be
  "$STAGE/bin/git-vault" completions "$1" >"$STAGE/script"
  grep -qF "$STAGE/bin/git-vault" "$STAGE/script" || fail "the completions for $1 name no program"
  sed "s|'*$STAGE/bin/git-vault'*|'$PREFIX/bin/git-vault'|g" "$STAGE/script" >"$STAGE/share/$2"
}
completions bash bash-completion/completions/git-vault
completions zsh zsh/site-functions/_git-vault
completions fish fish/vendor_completions.d/git-vault.fish

# Files of a version before that this one does not have are taken away below.
mkdir -p "$ROOT/share/git-vault"
touch "$LIST"
(cd "$STAGE" && find bin share -type f | sort) >"$STAGE/installed"
while IFS= read -r name; do
  if [ -e "$ROOT/$name" ] && ! grep -qxF "$name" "$LIST"; then
    fail "'$ROOT/$name' is there and was not installed by this script; nothing was changed"
  fi
done <"$STAGE/installed"
# From here on they are this script's, even if it is stopped half-way: it can be called again, or uninstall what is there.
cat "$LIST" "$STAGE/installed" | sort -u >"$LIST.new"
mv -f "$LIST.new" "$LIST"
while IFS= read -r name; do
  mkdir -p "$ROOT/$(dirname "$name")"
  # A running program keeps its file.
  cp -p "$STAGE/$name" "$ROOT/$name.new"
  mv -f "$ROOT/$name.new" "$ROOT/$name"
done <"$STAGE/installed"
while IFS= read -r name; do
  grep -qxF "$name" "$STAGE/installed" || rm -f -- "$ROOT/$name"
done <"$LIST"
cp "$STAGE/installed" "$LIST"

echo "installed git-vault to $PREFIX; git vault --help"
case :$PATH: in
  *":$PREFIX/bin:"*) ;;
  *) echo "$PREFIX/bin is not on the path: add it, so that git finds the program" ;;
esac

#!/usr/bin/env bash
# A kit was mistyped.
. "$(dirname "$0")/lib.sh"
begin
KIT=$HOME/kit.txt
git vault key export "$HOME/printed.txt"
(umask 077 && echo "correct horse battery staple" >"$HOME/passphrase") && git vault key escrow --passphrase-file "$HOME/passphrase"
awk '/^ *1  / { sub(/[0-9A-Z] /, ($2 ~ /A$/ ? "B " : "A ")) } { print }' "$HOME/printed.txt" >"$KIT"
cmp -s "$KIT" "$HOME/printed.txt" && fail "nothing was mistyped"
rm -rf "$HOME/.config/git-vault/keys"
keep vault "$VAULT"
refused git vault --vault "$VAULT" key import "$KIT"
[ ! -e "$HOME/.config/git-vault/keys" ] || fail "no key is stored"
put KIT "$KIT"
by_hand "Type it again" "cp '$HOME/printed.txt' '$KIT'"
skip "key export KIT" "the kit is not older"
skip "key confirm" "the kit is not older"
gives GV-1006 "key import --escrow" # the drill has no terminal to type on
follow
safe "the key is back and opens the vault, which is as it was"
unchanged vault "$VAULT"
restores "$VAULT" "$SNAP"
finish

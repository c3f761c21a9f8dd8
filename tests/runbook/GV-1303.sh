#!/usr/bin/env bash
# The vault is open to others.
. "$(dirname "$0")/lib.sh"
begin
chmod 755 "$VAULT"
keep vault "$VAULT"; keep source "$SOURCE"
refused git vault snapshot -m "today"
unchanged vault "$VAULT"
skip "4:git vault init --new" "it is mine"
follow
safe "the vault is closed again, everything verifies, the next snapshot is sealed"
[ "$(stat -c %a "$VAULT")" = 700 ]
unchanged source "$SOURCE"
restores "$VAULT" "$SNAP"; restores "$VAULT" @latest "$SOURCE"
finish

#!/usr/bin/env bash
# The vault is not where it was: somebody moved it.
. "$(dirname "$0")/lib.sh"
begin
keep snapshots "$VAULT/snapshots"
mv "$VAULT" "$TOP/disk/moved.vault"
refused git vault --vault "$VAULT" list
VAULT=$TOP/disk/moved.vault
skip "4:git" "there was one"
gives 2 "ls -d"
follow
safe "the moved vault is found by its path and restores; new work is in a vault of its own"
unchanged snapshots "$VAULT/snapshots"
restores "$VAULT" "$SNAP"
safe_in_new_vault
finish

#!/usr/bin/env bash
# The list of snapshots that the vault keeps as a cache is damaged.
. "$(dirname "$0")/lib.sh"
begin
keep snapshots "$VAULT/snapshots"
damage "$VAULT/cache/index"
refused git vault list
follow
safe "all snapshots are listed again and were restorable all the time; the damaged list is kept"
unchanged snapshots "$VAULT/snapshots"
[ "$(git vault list | grep -c "VERIFIED full")" = 2 ]
ls "$VAULT/cache"
restores "$VAULT" "$SNAP"
finish

#!/usr/bin/env bash
# Both caches of the vault are damaged, and the steps of their class are followed.
. "$(dirname "$0")/lib.sh"
begin
keep snapshots "$VAULT/snapshots"; keep source "$SOURCE"
damage "$VAULT/cache/index"; damage "$VAULT/cache/scan"
refused_with GV-1501 git vault list
restores "$VAULT" "$SNAP"
follow "An index or a cache is damaged"
safe "all snapshots are there; they were restorable all the time"
unchanged snapshots "$VAULT/snapshots"; unchanged source "$SOURCE"
restores "$VAULT" "$EARLIER" "$TOP/before"; restores "$VAULT" @latest "$SOURCE"
finish

#!/usr/bin/env bash
# A setting makes no sense.
. "$(dirname "$0")/lib.sh"
begin
keep vault "$VAULT"
git config vault.home not/absolute
refused git vault snapshot
skip "3:git config" "they lie where they are without a setting"
follow
safe "the setting is right again, the snapshots are listed, and the next one is sealed"
unchanged vault "$VAULT"
git vault snapshot -m after
restores "$VAULT" @latest "$SOURCE"
restores "$VAULT" "$SNAP"
finish

#!/usr/bin/env bash
# The vault does not take what is written: its disk was mounted for reading only.
. "$(dirname "$0")/lib.sh"
need_mounts
begin
mounted --bind "$VAULT" "$VAULT" && mount -o remount,ro,bind "$VAULT"
keep vault "$VAULT"
refused git vault snapshot -m "today"
put /another/disk "$TOP/disk"
gives 13 "git vault doctor"
gives GV-1301 "3:git vault snapshot"
follow
safe "new work is sealed in a vault on another disk; the old one is as it was and restores"
unchanged vault "$VAULT"; unchanged vault "$TOP/disk/vault-copy"
safe_in_new_vault
restores "$VAULT" "$SNAP"
finish

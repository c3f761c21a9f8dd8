#!/usr/bin/env bash
# The permissions of the vault drifted, and the steps of its class are followed.
. "$(dirname "$0")/lib.sh"
begin
chmod 750 "$VAULT"
keep vault "$VAULT"; keep source "$SOURCE"
refused_with GV-1303 git vault snapshot -m "today"
unchanged vault "$VAULT"
gives 13 "git vault doctor"
by_hand "Look at the room" "chmod 700 '$VAULT'" # as GV-1303 says
follow "The vault is not healthy"
safe "the vault is mended, everything verifies, the newest snapshot was restored for real"
unchanged source "$SOURCE"
restores "$VAULT" "$SNAP"; restores "$VAULT" @latest "$SOURCE"
git vault list | grep PROVEN
finish

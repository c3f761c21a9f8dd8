#!/usr/bin/env bash
# A newer version has written a record.
. "$(dirname "$0")/lib.sh"
begin
"$HERE/forge.pl" --key "$(key_file)" "$(newest_entry)" 's/^# git-vault log entry 1/# git-vault log entry 2/'
keep vault "$VAULT"; keep source "$SOURCE"
refused git vault restore "$SNAP" "$DIR"
gives GV-3301 "git vault list"
follow
note "there is no newer version: as GV-3101"
skip "2:" "it is copied"; skip "5:" "there is no other copy"
follow GV-3101
safe "vault and copy are as they were; new work is in a new vault"
evidence_kept; unchanged source "$SOURCE"
safe_in_new_vault
finish

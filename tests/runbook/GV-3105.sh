#!/usr/bin/env bash
# The log states that somebody else may have had the key.
. "$(dirname "$0")/lib.sh"
begin
KEY=$(basename "$(key_file)" .key)
git vault key rotate
git vault key compromise "$KEY" --since 2
keep vault "$VAULT"; keep log "$VAULT/log"; keep source "$SOURCE"
refused git vault restore "$SNAP" "$DIR"
[[ $OUT == *"restore $EARLIER"* ]] || fail "NEXT names the newest one that is accepted"
DOUBTFUL=$SNAP SNAP=$EARLIER
gives 3 "key status" # there is one copy of the key that signs
gives GV-1501 "2:git vault list" # that key signed it
follow
safe "the doubtful one is not restored, the earlier one is; the copy is as the vault was; new work is in a new vault"
unchanged vault "$TOP/disk/vault-copy"; unchanged log "$VAULT/log"; unchanged source "$SOURCE"
restored "$DIR" "$TOP/before"
rm -rf "$DIR"; refused git vault --vault "$VAULT" restore "$DOUBTFUL" "$DIR"
safe_in_new_vault
finish

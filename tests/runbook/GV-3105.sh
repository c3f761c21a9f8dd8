#!/usr/bin/env bash
# The log states that somebody else may have had the key.
. "$(dirname "$0")/lib.sh"
begin
KEY=$(basename "$(key_file)" .key)
git vault key rotate
echo "after the rotation" >>notes.txt; seal THIRD; cp -a "$SOURCE" "$TOP/third"
git vault key compromise "$KEY" --since 2
keep vault "$VAULT"; keep source "$SOURCE"
refused git vault restore "$SNAP" "$DIR"
[[ $OUT == *"restore $EARLIER"* ]] || fail "NEXT names the newest one that is accepted"
DOUBTFUL=$SNAP SNAP=$EARLIER
gives any "key status"
follow
safe "the doubtful one is not restored, the earlier one is; vault and copy are as they were; new work is in a new vault"
unchanged vault "$VAULT"; unchanged vault "$TOP/disk/vault-copy"; unchanged source "$SOURCE"
restored "$DIR" "$TOP/before"
rm -rf "$DIR"; refused git vault --vault "$VAULT" restore "$DOUBTFUL" "$DIR"
safe_in_new_vault
finish

#!/usr/bin/env bash
# A pack of the vault is damaged.
. "$(dirname "$0")/lib.sh"
begin
cp -a "$VAULT" "$TOP/work/older.vault"
echo "new work" >>notes.txt; seal SNAP; rm -rf "$TOP/original"; cp -a "$SOURCE" "$TOP/original"
cp -a "$VAULT" "$TOP/work/copy.vault"
for pack in "$VAULT"/objects/pack/*.pack; do damage "$pack"; done
keep vault "$VAULT"; keep source "$SOURCE"
refused git vault verify "$SNAP"
put /path/to/copy "$TOP/work/copy.vault"
gives GV-3001 "3:verify --deep"
gives GV-3001 "5:restore SNAP DIR" # every pack is damaged
follow
evidence_kept; unchanged source "$SOURCE"
restored "$DIR"
safe_in_new_vault

note "only an older copy is there"
rm -rf "$DIR" "$TOP/disk/vault-evidence"
echo "newer work" >>notes.txt
refused git vault --vault "$VAULT" verify
cp -a "$SOURCE" "$TOP/now"
SNAP=$EARLIER
put /path/to/copy "$TOP/work/older.vault"
gives GV-3001 "3:verify --deep"
gives GV-3001 "5:restore SNAP DIR"
gives GV-3201 "6:verify --deep"
follow
safe "the damaged vault and its copy are as they were; another copy restores; new work is in a new vault"
evidence_kept
restored "$DIR" "$TOP/before"
restores "$(newest_vault)" @latest "$TOP/now"
finish

#!/usr/bin/env bash
# An older copy was put in the place of the vault.
. "$(dirname "$0")/lib.sh"
begin
OLD=$TOP/work/old.vault; cp -a "$VAULT" "$OLD"
echo "new work" >>notes.txt; seal THIRD; cp -a "$SOURCE" "$TOP/third"
mv "$VAULT" "$TOP/work/newer.vault" && mv "$OLD" "$VAULT"
keep vault "$VAULT"; keep source "$SOURCE"
refused git vault list
put /path/to/the/newer/one "$TOP/work/newer.vault"
skip "5:" "the newer one was found"
skip "7:" "the newer one goes on"
follow
evidence_kept; unchanged source "$SOURCE"
restored "$DIR"
restores "$TOP/work/newer.vault" "$THIRD" "$TOP/third"

note "the newer one is lost for good"
rm -rf "$TOP/work/newer.vault" "$TOP/disk/vault-evidence" "$DIR"
refused git vault verify
skip "3:" "it is lost"
answer "git vault acknowledge" 4
follow
safe "vault and copy are as they were until a person states what is lost"
unchanged vault "$TOP/disk/vault-evidence"
restored "$DIR"
safe_in_new_vault
restores "$VAULT" "$SNAP"
finish

#!/usr/bin/env bash
# A pack of the vault is gone.
. "$(dirname "$0")/lib.sh"
begin
cp -a "$VAULT" "$TOP/work/copy.vault"
rm -f "$(ls -S "$VAULT"/objects/pack/*.pack | head -n 1)"
keep vault "$VAULT"; keep source "$SOURCE"
refused git vault restore "$SNAP" "$DIR"
put /path/to/copy "$TOP/work/copy.vault"
skip "5:" "there is another copy"
follow
restored "$DIR"; evidence_kept

note "no other copy"
rm -rf "$DIR" "$TOP/disk/vault-evidence"
refused git vault --vault "$VAULT" list
skip "4:" "there is none"
follow
safe "vault and copy are as they were; a copy restores; new work is in a new vault"
evidence_kept; unchanged source "$SOURCE"
safe_in_new_vault
finish

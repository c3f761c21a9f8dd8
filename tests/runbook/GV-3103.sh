#!/usr/bin/env bash
# Something is in the vault that git-vault did not put there.
. "$(dirname "$0")/lib.sh"
begin
echo "of a file manager" >"$VAULT/.DS_Store"
keep vault "$VAULT"; keep source "$SOURCE"
refused git vault restore "$SNAP" "$DIR"
put NAME .DS_Store
gives GV-3103 "3:git vault list"
skip "6:" "it is known"
follow
unchanged vault "$VAULT"
restores "$TOP/disk/vault-copy" "$SNAP"; restores "$TOP/disk/vault-copy" @latest "$SOURCE"

note "nobody knows where it comes from"
rm -rf "$TOP/disk/vault-copy" "$HOME/vault-evidence"
refused git vault --vault "$VAULT" verify
gives GV-3103 "3:git vault list"
skip "4:" "it is not known"
skip "5:" "it is not known"
follow
safe "the vault is as it was; the copy without the foreign file, or a new vault, goes on"
unchanged vault "$VAULT"; unchanged vault "$TOP/disk/vault-copy"; unchanged source "$SOURCE"
safe_in_new_vault
finish

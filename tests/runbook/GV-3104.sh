#!/usr/bin/env bash
# Somebody with the key signed a manifest that does not say what the log says.
. "$(dirname "$0")/lib.sh"
begin
MANIFEST=$VAULT/snapshots/$SNAP/manifest.toml
"$HERE/forge.pl" --key "$(key_file)" "$MANIFEST" 's/^tips = \d+/tips = 9/m'
"$HERE/forge.pl" --key "$(key_file)" "$(newest_entry)" "s/^manifest_blake3 = .*/manifest_blake3 = \"$("$HERE/forge.pl" --hash "$MANIFEST")\"/m"
rm "$HOME"/.local/state/git-vault/last-seen/*.toml # this machine has not seen the other log
keep vault "$VAULT"; keep source "$SOURCE"
refused git vault restore "$SNAP" "$DIR"
gives GV-3104 "3:verify --deep SNAP"
skip "6:" "another snapshot is whole"
follow
evidence_kept; unchanged source "$SOURCE"
restored "$DIR" "$TOP/before"
safe "vault and copy are as they were; the other snapshot restores; new work is in a new vault"
safe_in_new_vault
finish

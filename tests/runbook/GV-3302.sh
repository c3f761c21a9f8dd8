#!/usr/bin/env bash
# The note of what was last seen is damaged; or a record is not in the one form it may have.
. "$(dirname "$0")/lib.sh"
begin
keep vault "$VAULT"; keep source "$SOURCE"
NOTE=$(ls "$HOME"/.local/state/git-vault/last-seen/*.toml)
echo "rubbish" >"$NOTE"
refused git vault restore "$SNAP" "$DIR"
unchanged vault "$VAULT"
skip "3:" "it is the note"
skip "5:" "the vault is sound"
follow
unchanged vault "$TOP/disk/vault-evidence"
restores "$VAULT" "$SNAP"

note "a record of the vault"
rm -rf "$TOP/disk/vault-evidence" "VALUE[/path/under/WHAT]" "$HOME"/.local/state/git-vault/last-seen
"$HERE/forge.pl" --key "$(key_file)" "$(newest_entry)" 's/^kind = /kind  = /m'
keep vault "$VAULT"
refused git vault restore "$SNAP" "$DIR"
skip "2:" "it is a record"
follow
safe "vault and copy are as they were; with another note the vault goes on, or new work is in a new vault"
evidence_kept; unchanged source "$SOURCE"
safe_in_new_vault
finish

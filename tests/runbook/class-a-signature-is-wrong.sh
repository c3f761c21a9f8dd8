#!/usr/bin/env bash
# Somebody without the key changed a record, and the steps of its class are followed.
. "$(dirname "$0")/lib.sh"
begin
"$HERE/forge.pl" "$VAULT/vault.toml" 's/^created = "2/created = "3/m'
keep vault "$VAULT"; keep source "$SOURCE"
refused_with GV-3101 git vault list
follow "A signature is wrong"
safe "the forged vault and its copy are as they were; nothing of it was used; new work is in a new vault"
evidence_kept; unchanged source "$SOURCE"
[ -s "$HOME/vault-evidence.txt" ]
safe_in_new_vault
finish
